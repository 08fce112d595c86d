"""Where an offer is fetched, and the link that opens it in a wallet (OpenID4VCI 1.0 §4.1.3)."""

from urllib.parse import quote

from credentials.issuance import CredentialOffer


def offer_links(offer: CredentialOffer, public_url: str) -> dict[str, str]:
    """`credential_offer_uri` and the deep link that carries it."""
    uri = f"{public_url}/openid4vci/offers/{offer.id}"
    return {
        "credential_offer_uri": uri,
        "deep_link": f"openid-credential-offer://?credential_offer_uri={quote(uri, safe='')}",
    }
