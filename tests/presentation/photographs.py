"""Pictures of a live code as one phone takes them of another: from the side, unsharp, with glare and noise."""

import sys
from random import Random

import zxingcpp
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter

from presentation.shows import Profile, qr_symbol
from tests.presentation.test_passes import live_code_text

PICTURES, MUST_BE_READ = 200, 190

SIZE = 760  # pixels a side: what is left of a camera's picture around the code
SHARE = (0.55, 0.8)  # of that side that the code takes: held at arm's length, or closer
TILT = 0.07  # of the code's side: how far a corner moves when the picture is not taken from straight ahead
TURN = 15  # degrees
BLUR = (0.4, 1.6)  # pixels: a shaking hand, a lens that has not settled
NOISE = (2, 14)  # grey levels
GLARE = (0.15, 0.5)  # how much of the light of a lamp the screen throws back
DARKEST, BRIGHTEST = 0.55, 1.25

Corner = tuple[float, float]


def photograph(text: str, random: Random) -> Image.Image:
    """A grey picture of the text's symbol; the same generator gives the same picture."""
    symbol = qr_symbol(text)
    symbol.box_size = 8
    drawn = symbol.make_image().get_image().convert("L")
    side = int(SIZE * random.uniform(*SHARE))
    screen = Image.new("L", (SIZE, SIZE), random.randint(40, 150))
    at = (SIZE - side) // 2
    shift = (at + random.randint(-40, 40), at + random.randint(-40, 40))
    screen.paste(drawn.resize((side, side), Image.Resampling.LANCZOS), shift)
    picture = screen.rotate(random.uniform(-TURN, TURN), Image.Resampling.BICUBIC, fillcolor=90)
    picture = _from_the_side(picture, random)
    picture = picture.filter(ImageFilter.GaussianBlur(random.uniform(*BLUR)))
    picture = _with_glare(picture, random)
    picture = ImageEnhance.Brightness(picture).enhance(random.uniform(DARKEST, BRIGHTEST))
    return _with_noise(picture, random)


def is_read(text: str, random: Random) -> bool:
    """Whether a picture of the text gives exactly it back."""
    codes = zxingcpp.read_barcodes(photograph(text, random), zxingcpp.barcode_formats_from_str("QRCode"))
    return [code.text for code in codes] == [text]


def _from_the_side(picture: Image.Image, random: Random) -> Image.Image:
    far = SIZE - 1
    corners = [(0, 0), (far, 0), (far, far), (0, far)]
    seen = [(x + random.uniform(-TILT, TILT) * SIZE, y + random.uniform(-TILT, TILT) * SIZE) for x, y in corners]
    coefficients = _perspective(corners, seen)
    return picture.transform(picture.size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC)


def _perspective(here: list[tuple[int, int]], there: list[Corner]) -> list[float]:
    """The eight numbers of the mapping that takes four corners to four others, by elimination."""
    rows: list[list[float]] = []
    for (x, y), (u, v) in zip(here, there, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y, u])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y, v])
    for column in range(8):
        pivot = max(range(column, 8), key=lambda row: abs(rows[row][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [value / rows[column][column] for value in rows[column]]
        for row in range(8):
            if row != column:
                factor = rows[row][column]
                rows[row] = [a - factor * b for a, b in zip(rows[row], rows[column], strict=True)]
    return [row[8] for row in rows]


def _with_glare(picture: Image.Image, random: Random) -> Image.Image:
    """The light of a lamp: brightest in its middle, anywhere on the screen."""
    lamp = Image.new("L", picture.size, 0)
    radius = random.randint(80, 220)
    x, y = random.randint(100, SIZE - 100), random.randint(100, SIZE - 100)
    ImageDraw.Draw(lamp).ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    lamp = lamp.filter(ImageFilter.GaussianBlur(radius / 2))
    return ImageChops.add(picture, ImageEnhance.Brightness(lamp).enhance(random.uniform(*GLARE)))


def _with_noise(picture: Image.Image, random: Random) -> Image.Image:
    tile = Image.frombytes("L", (250, 250), random.randbytes(250 * 250)).resize(picture.size, Image.Resampling.NEAREST)
    amount = random.uniform(*NOISE) / 255
    return Image.blend(picture, tile, amount)


def main() -> None:
    """Try 200 pictures, half of them `minimal`, half `face`; ends with 1 when fewer than 190 are read."""
    texts = [live_code_text(profile) for profile in Profile]
    read = sum(is_read(texts[seed % 2], Random(seed)) for seed in range(PICTURES))
    print(f"live codes read from pictures as a phone takes them: {read} of {PICTURES}")
    sys.exit(read < MUST_BE_READ)


if __name__ == "__main__":
    main()
