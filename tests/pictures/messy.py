"""A folder of pictures as strangers have them: broken, doubled, turned, deep, huge and tiny files among good ones."""

import io
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Random = np.random.Generator
SIDE = 48
ORIENTATION = 0x0112
BROKEN, DOUBLED = 0.01, 0.05
"""Shares of the good files."""


def good(kind: int, random: Random) -> Image.Image:
    """A picture of the class number `kind`: stripes of its own direction and colour, in noise."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    angle, colour = kind * 2.4, np.array([kind * 67 % 256, kind * 131 % 256, kind * 29 % 256])
    phase = random.uniform(0, 2 * np.pi)
    stripes = np.sin((rows * np.sin(angle) + columns * np.cos(angle)) / (2 + kind % 7) + phase)
    pixels = 128 + 60 * stripes[..., None] + (colour - 128) * 0.5 + random.normal(0, 25, (SIDE, SIDE, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    """The bytes of a file."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _turned(image: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    return encoded(image, "JPEG", exif=exif)


def _deep(image: Image.Image) -> NDArray[np.uint16]:
    return np.asarray(image.convert("L"), np.uint16) * 257


def _transparent(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def _animated(image: Image.Image) -> bytes:
    return encoded(image, "GIF", save_all=True, append_images=[image.rotate(90), image.rotate(180)])


def _flat_png(image: Image.Image) -> bytes:
    return encoded(Image.new("RGB", (8000, 6000), image.getpixel((0, 0))), "PNG")


ODD: dict[str, tuple[str, Callable[[Image.Image], bytes]]] = {
    "turned by EXIF": ("turned.jpg", _turned),
    "16-bit PNG": ("deep.png", lambda image: encoded(Image.fromarray(_deep(image)), "PNG")),
    "16-bit TIFF": ("deep.tif", lambda image: encoded(Image.fromarray(_deep(image)), "TIFF")),
    "16-bit TIFF, big-endian": (
        "deep big.tiff",
        lambda image: encoded(Image.frombytes("I;16B", image.size, _deep(image).byteswap().tobytes()), "TIFF"),
    ),
    "float TIFF": (
        "float.tif",
        lambda image: encoded(Image.fromarray(np.asarray(image.convert("L"), np.float32) / 255), "TIFF"),
    ),
    "transparent PNG": ("transparent.png", lambda image: encoded(_transparent(image), "PNG")),
    "transparent WebP": ("transparent.webp", lambda image: encoded(_transparent(image), "WEBP", lossless=True)),
    "gray with transparency": ("la.png", lambda image: encoded(_transparent(image).convert("LA"), "PNG")),
    "palette": ("palette.png", lambda image: encoded(image.convert("P"), "PNG")),
    "palette with transparency": (
        "palette transparent.png", lambda image: encoded(image.convert("P"), "PNG", transparency=0)
    ),
    "black and white": ("bits.png", lambda image: encoded(image.convert("1"), "PNG")),
    "CMYK JPEG": ("cmyk.jpg", lambda image: encoded(image.convert("CMYK"), "JPEG")),
    "CMYK TIFF": ("cmyk.tif", lambda image: encoded(image.convert("CMYK"), "TIFF")),
    "gray JPEG": ("gray.jpg", lambda image: encoded(image.convert("L"), "JPEG")),
    "bitmap": ("bitmap.BMP", lambda image: encoded(image, "BMP")),
    "animation": ("animated.gif", _animated),
    "huge": ("huge.png", _flat_png),
    "tiny": ("tiny.png", lambda image: encoded(image.resize((1, 1)), "PNG")),
    "line": ("line.png", lambda image: encoded(image.resize((500, 1)), "PNG")),
    "name with spaces": ("a  name with spaces .jpg", lambda image: encoded(image, "JPEG")),
    "name with accents": ("Ka\u0308fer größer ☃.jpg", lambda image: encoded(image, "JPEG")),
    "name with a line end": ("two\nlines\x1b[31m.jpg", lambda image: encoded(image, "JPEG")),
    "suffix of another format": ("really a png.jpg", lambda image: encoded(image, "PNG")),
}  # fmt: skip
"""Kind → name and bytes of a file that can be used."""
BAD: dict[str, tuple[str, Callable[[Image.Image], bytes]]] = {
    "nothing": ("empty.jpg", lambda image: b""),
    "text": ("text.jpg", lambda image: b"This is no picture but a note.\n"),
    "truncated JPEG": ("cut.jpg", lambda image: encoded(image, "JPEG")[:-200]),
    "truncated PNG": ("cut.png", lambda image: encoded(image, "PNG")[:-200]),
    "damaged header": ("header.png", lambda image: encoded(image, "PNG")[:20]),
    "too many pixels": ("bomb.png", lambda image: encoded(Image.new("1", (20_000, 20_000)), "PNG")),
    "page": ("page.png", lambda image: b"<!doctype html><title>404</title>"),
}
"""Kind → name and bytes of a file that cannot."""


def make(root: Path, classes: int = 5, each: int = 20, seed: int = 0) -> dict[str, list[str]]:
    """Fills the folder `root`: `classes` folders of `each` good files, one of a single file, odd and bad ones.

    Returns the names of the files of each kind: those of `ODD` and `BAD`, and `good`, `broken`, `doubled` (as pairs, a
    copy behind its original), `lonely`.
    """
    random = np.random.default_rng(seed)
    made = defaultdict[str, list[str]](list)

    def write(kind: str, name: str, content: bytes) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        made[kind].append(name)

    for kind in range(classes):
        for number in range(each):
            write("good", f"class {kind:03}/{number:05}.jpg", encoded(good(kind, random), "JPEG"))
    originals = list(made["good"])
    for number in range(max(1, round(BROKEN * len(originals)))):
        cut = (root / originals[random.integers(len(originals))]).read_bytes()
        write("broken", f"class {number % classes:03}/broken {number}.jpg", cut[: len(cut) // 2])
    for number in range(max(1, round(DOUBLED * len(originals)))):
        original = originals[random.integers(len(originals))]
        made["doubled"].append(original)
        write("doubled", f"{original.split('/')[0]}/copy {number}.jpg", (root / original).read_bytes())
    for number, (kind_name, (name, content)) in enumerate([*ODD.items(), *BAD.items()]):
        write(kind_name, f"class {number % classes:03}/{name}", content(good(number % classes, random)))
    write("lonely", "lonely/only one.jpg", encoded(good(classes, random), "JPEG"))
    return made
