"""Where an offer is fetched, and links and QR codes that open it in a wallet (OpenID4VCI 1.0 §4.1.3, HAIP 1.0 §4.2)."""

import io
from urllib.parse import quote

import qrcode
from qrcode.image.svg import SvgPathImage

from credentials.issuance import CredentialOffer

QR_MEDIA_TYPES = {"png": "image/png", "svg": "image/svg+xml"}


def offer_links(offer: CredentialOffer, public_url: str) -> dict[str, str]:
    """`credential_offer_uri`, the deep links that carry it, and the pictures of the first of them."""
    uri = _uri(offer.id, public_url)
    return {
        "credential_offer_uri": uri,
        "deep_link": _deep_link(uri, "openid-credential-offer"),
        "haip_deep_link": _deep_link(uri, "haip-vci"),
        "qr_png": f"{uri}/qr.png",
        "qr_svg": f"{uri}/qr.svg",
    }


def offer_qr(offer_id: str, public_url: str, image: str) -> bytes:
    """The deep link as a picture, `png` or `svg`."""
    symbol = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, border=4)
    symbol.add_data(_deep_link(_uri(offer_id, public_url), "openid-credential-offer"))
    drawn = io.BytesIO()
    symbol.make_image(**({"image_factory": SvgPathImage} if image == "svg" else {})).save(drawn)
    return drawn.getvalue()


def _uri(offer_id: str, public_url: str) -> str:
    return f"{public_url}/openid4vci/offers/{offer_id}"


def _deep_link(uri: str, scheme: str) -> str:
    return f"{scheme}://?credential_offer_uri={quote(uri, safe='')}"
