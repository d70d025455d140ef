"""Bytes → damaged bytes, drawn from a seeded generator. Knows no format but PNG, whose checksums it mends."""

import struct
import zlib
from collections.abc import Callable, Sequence
from random import Random

MAX_BYTES = 300_000
"""Longer results are cut off."""
MAX_MUTATIONS = 4
NUMBERS: tuple[int, ...] = (0, 1, 2, 3, 4, 6, 8, 16, 27, 28, 29, 127, 128, 255, 256, 5_000, 32_767, 32_768, 65_535)
NUMBERS += (2**24, 2**31 - 1, 2**31, 2**32 - 1)
"""Values at which readers of headers go wrong."""
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_TYPES: tuple[bytes, ...] = (
    b"IHDR",
    b"PLTE",
    b"IDAT",
    b"IEND",
    b"tRNS",
    b"gAMA",
    b"sBIT",
    b"iCCP",
    b"tEXt",
    b"zTXt",
    b"iTXt",
    b"eXIf",
)
PNG_TYPES += (b"pHYs", b"cHRM", b"bKGD", b"hIST", b"acTL", b"fcTL", b"fdAT", b"abCd")
IHDR = ">IIBBBBB"
"""Width, height, bit depth, colour type, compression, filter, interlace (PNG, section 11.2.1)."""
Chunk = tuple[bytes, bytes]
"""Type and data."""


def mutated(content: bytes, others: Sequence[bytes], random: Random, pieces: Sequence[bytes] = ()) -> bytes:
    """`content` with up to `MAX_MUTATIONS` damages; half of the PNG files stay well-formed as far as chunks go.

    Args:
        others: what may be spliced in.
        pieces: strings that mean something where the result is read.
    """
    if content.startswith(PNG_SIGNATURE) and random.random() < 0.5:
        return mutated_png(content, random)
    for _ in range(random.randint(1, MAX_MUTATIONS)):
        if pieces and random.random() < 0.4:
            content = _inserted(content, random.choice(pieces), random)
        else:
            content = random.choice(MUTATIONS)(content, random.choice(others), random)
    return content[:MAX_BYTES]


def mutated_png(content: bytes, random: Random) -> bytes:
    """A PNG whose chunks are damaged, with the right length and CRC in each."""
    chunks = list(chunks_of(content))
    for _ in range(random.randint(1, MAX_MUTATIONS)):
        random.choice((_png_header, _png_order, _png_pixels, _png_addition))(chunks, random)
    return png_of(chunks)


def chunks_of(content: bytes) -> list[Chunk]:
    """The chunks of a well-formed PNG."""
    chunks, at = [], len(PNG_SIGNATURE)
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += length + 12
    return chunks


def png_of(chunks: Sequence[Chunk]) -> bytes:
    """The file that these chunks make."""
    framed = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return PNG_SIGNATURE + b"".join(framed)


def _span(content: bytes, random: Random) -> tuple[int, int]:
    """Start and end of a piece, short ones more often than long ones."""
    start = random.randint(0, len(content))
    return start, start + int(random.random() ** 4 * (len(content) - start))


def _inserted(content: bytes, piece: bytes, random: Random) -> bytes:
    start, end = _span(content, random)
    return content[:start] + piece + content[random.choice((start, end)) :]


def _flipped(content: bytes, _other: bytes, random: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(random.randint(1, 16) if content else 0):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _cut(content: bytes, _other: bytes, random: Random) -> bytes:
    return content[: random.randint(0, len(content))]


def _shortened(content: bytes, _other: bytes, random: Random) -> bytes:
    start, end = _span(content, random)
    return content[:start] + content[end:]


def _repeated(content: bytes, _other: bytes, random: Random) -> bytes:
    start, end = _span(content, random)
    return content[:start] + content[start:end] * random.choice((2, 3, 10, 100)) + content[end:]


def _spliced(content: bytes, other: bytes, random: Random) -> bytes:
    return content[: random.randint(0, len(content))] + other[random.randint(0, len(other)) :]


def _mixed(content: bytes, other: bytes, random: Random) -> bytes:
    start, end = _span(other, random)
    return _inserted(content, other[start:end], random)


def _noisy(content: bytes, _other: bytes, random: Random) -> bytes:
    return _inserted(content, random.randbytes(random.choice((1, 2, 4, 30, 300))), random)


def _numbered(content: bytes, _other: bytes, random: Random) -> bytes:
    """A binary number of a header, mostly among the first bytes, set to an extreme."""
    code = random.choice("<>") + random.choice("BHI")
    size = struct.calcsize(code)
    if len(content) < size:
        return content
    at = random.randint(0, min(len(content) - size, random.choice((64, 64, 500, len(content)))))
    number = random.choice(NUMBERS) % 256**size
    return content[:at] + struct.pack(code, number) + content[at + size :]


Mutation = Callable[[bytes, bytes, Random], bytes]
MUTATIONS: tuple[Mutation, ...] = (_flipped, _cut, _shortened, _repeated, _spliced, _mixed, _noisy, _numbered)


def _png_header(chunks: list[Chunk], random: Random) -> None:
    where = next((at for at, (kind, data) in enumerate(chunks) if kind == b"IHDR" and len(data) == 13), None)
    if where is None:
        return
    fields = list(struct.unpack(IHDR, chunks[where][1]))
    at = random.randrange(len(fields))
    fields[at] = random.choice(NUMBERS) % (2**32 if at < 2 else 256)
    chunks[where] = (b"IHDR", struct.pack(IHDR, *fields))


def _png_order(chunks: list[Chunk], random: Random) -> None:
    """One chunk twice, or at another place, or gone, or of another type."""
    if not chunks:
        return
    chunk = chunks.pop(random.randrange(len(chunks)))
    kept = random.choice(([], [chunk], [chunk] * random.choice((2, 3, 50)), [(random.choice(PNG_TYPES), chunk[1])]))
    at = random.randint(0, len(chunks))
    chunks[at:at] = kept


def _png_pixels(chunks: list[Chunk], random: Random) -> None:
    """The rows, as they are before compression, damaged and compressed again, in up to three chunks."""
    places = [at for at, (kind, _) in enumerate(chunks) if kind == b"IDAT"]
    try:
        rows = zlib.decompressobj().decompress(b"".join(chunks[at][1] for at in places), MAX_BYTES)
    except zlib.error:
        return
    rows = random.choice(MUTATIONS)(rows, rows, random)[:MAX_BYTES]
    stream = zlib.compress(rows, random.randrange(10))
    if random.random() < 0.2:
        stream = random.choice(MUTATIONS)(stream, stream, random)
    cuts = sorted(random.randint(0, len(stream)) for _ in range(random.randrange(3)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    first = places[0] if places else len(chunks)
    chunks[:] = [chunk for chunk in chunks if chunk[0] != b"IDAT"]
    chunks[first:first] = [(b"IDAT", piece) for piece in pieces]


def _png_addition(chunks: list[Chunk], random: Random) -> None:
    """A chunk of any type with noise in it, as it is or compressed behind a keyword."""
    noise = random.randbytes(random.choice((0, 1, 2, 4, 6, 9, 256, 768, 2_000)))
    if random.random() < 0.4:
        noise = b"name\0\0" + zlib.compress(noise * random.choice((1, 1, 1_000)))
    chunks.insert(random.randint(0, len(chunks)), (random.choice(PNG_TYPES), noise))
