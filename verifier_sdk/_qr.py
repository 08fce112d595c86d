"""Reads a QR code out of an image file, with the `qr` extra."""

from pathlib import Path


class QrUnreadable(Exception):
    """The image gives no single QR code; the message says why."""


def read_image(path: Path) -> str:
    """The text of the one QR code in an image.

    Raises:
        QrUnreadable: The extra is not installed, the file is no image, or it does not show exactly one QR code.
    """
    try:
        import zxingcpp
        from PIL import Image
    except ImportError as error:
        raise QrUnreadable("--image needs the qr extra: pip install 'liangzheng-verifier[qr]'") from error
    try:
        with Image.open(path) as image:
            codes = zxingcpp.read_barcodes(image.convert("L"), zxingcpp.barcode_formats_from_str("QRCode"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise QrUnreadable("the file cannot be read as an image") from error
    if len(codes) != 1:
        raise QrUnreadable(f"the image shows {len(codes)} QR codes, not one")
    return str(codes[0].text)
