"""Drawing a live code: a byte segment for the address, an alphanumeric segment for the rest, error level M."""

from io import BytesIO
from typing import Literal

import qrcode
from qrcode.constants import ERROR_CORRECT_M
from qrcode.image.pil import PilImage
from qrcode.image.svg import SvgPathImage
from qrcode.util import QRData

BYTE: Literal[4] = 4  # mode indicators of ISO/IEC 18004
ALPHANUMERIC: Literal[2] = 2


def qr_symbol(text: str) -> qrcode.QRCode[PilImage]:
    """The fitted symbol of a live code's text; `.version`, `.make_image()` and `.print_ascii()` as in qrcode."""
    prefix, mark, fragment = text.partition("#")
    symbol: qrcode.QRCode[PilImage] = qrcode.QRCode(error_correction=ERROR_CORRECT_M, border=4, image_factory=PilImage)
    symbol.add_data(QRData((prefix + mark).encode(), mode=BYTE), optimize=0)
    symbol.add_data(QRData(fragment.encode(), mode=ALPHANUMERIC), optimize=0)
    symbol.make(fit=True)
    return symbol


def qr_png(text: str) -> bytes:
    """The symbol as a PNG picture. Takes tens of milliseconds: not for an event loop."""
    return _drawn(qr_symbol(text).make_image())


def qr_svg(text: str) -> bytes:
    """The symbol as an SVG document. Takes tens of milliseconds: not for an event loop."""
    return _drawn(qr_symbol(text).make_image(image_factory=SvgPathImage))


def _drawn(picture: PilImage | SvgPathImage) -> bytes:
    file = BytesIO()
    picture.save(file)
    return file.getvalue()
