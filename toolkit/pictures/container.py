"""PNG and JPEG files taken apart as far as needed: size, orientation, and the parts that hold pixels.

Metadata is left behind here, so that no decoder meets a compressed text, a colour profile, a
second frame or a thumbnail that a stranger wrote.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from toolkit.errors import UnreadableInputError, UnsupportedError

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8\xff"

OTHER_SIGNATURES = (
    (0, b"GIF8", "a GIF picture"),
    (0, b"BM", "a BMP picture"),
    (0, b"II*\0", "a TIFF picture"),
    (0, b"MM\0*", "a TIFF picture"),
    (8, b"WEBP", "a WebP picture"),
    (4, b"ftyphei", "a HEIC picture"),
    (4, b"ftypmif1", "a HEIF picture"),
    (4, b"ftypavif", "an AVIF picture"),
    (0, b"%PDF", "a PDF document"),
    (0, b"<svg", "an SVG drawing"),
)

PNG_PIXEL_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})

JPEG_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
JPEG_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})
JPEG_END, JPEG_SCAN, JPEG_COMMENT = 0xD9, 0xDA, 0xFE
JPEG_APPLICATION = range(0xE0, 0xF0)
# Both tell how colours are coded, so that the pixels cannot be read without them.
JPEG_COLOUR_SEGMENTS = ((0xE0, b"JFIF\0"), (0xEE, b"Adobe"))

EXIF_ORIENTATION = 0x0112


@dataclass(frozen=True, slots=True)
class PictureContainer:
    """What a picture file says before its pixels are decoded.

    Attributes:
        format: Pillow's name of the format.
        width: In pixels, as stored.
        height: In pixels, as stored.
        orientation: EXIF's, 1 to 8; 1 is as stored.
        pixels: The file without its metadata.
    """

    format: Literal["PNG", "JPEG"]
    width: int
    height: int
    orientation: int
    pixels: bytes


def read_container(content: bytes, name: str) -> PictureContainer:
    """Take a picture file apart.

    Args:
        content: The whole file.
        name: What to call it in errors.

    Raises:
        UnsupportedError: A picture in another format.
        UnreadableInputError: Not a picture, or one that ends early.
    """
    if content.startswith(PNG_SIGNATURE):
        return _read_png(content, name)
    if content.startswith(JPEG_SIGNATURE):
        return _read_jpeg(content, name)
    if not content:
        raise UnreadableInputError(f"{name} is empty", hint="give a PNG or JPEG picture")
    for offset, signature, kind in OTHER_SIGNATURES:
        if content.startswith(signature, offset):
            raise UnsupportedError(f"{name} is {kind}", hint="PNG and JPEG are read: save it as one of them")
    raise UnreadableInputError(
        f"{name} is not a picture: it begins with {content[:8]!r}", hint="give a PNG or JPEG picture"
    )


def _read_png(content: bytes, name: str) -> PictureContainer:
    width = height = 0
    orientation = 1
    pixels = [PNG_SIGNATURE]
    position = len(PNG_SIGNATURE)
    kind = b""
    while kind != b"IEND":
        if len(content) - position < 12:
            raise _ends_early(name, "PNG")
        length, kind = struct.unpack_from(">I4s", content, position)
        end = position + 12 + length
        if end > len(content):
            raise _ends_early(name, "PNG")
        if kind == b"IHDR" and length == 13:
            width, height = struct.unpack_from(">II", content, position + 8)
        elif kind == b"eXIf":
            orientation = exif_orientation(content[position + 8 : end - 4])
        if kind in PNG_PIXEL_CHUNKS:
            pixels.append(content[position:end])
        position = end
    return PictureContainer("PNG", width, height, orientation, b"".join(pixels))


def _read_jpeg(content: bytes, name: str) -> PictureContainer:
    width = height = 0
    orientation = 1
    pixels = [b"\xff\xd8"]
    for marker, start, end in _jpeg_segments(content, name):
        body = content[start + 4 : end]
        if marker in JPEG_FRAME_HEADERS and len(body) >= 5:
            # The largest counts, should a file hold several: the limit is checked against it.
            height, width = max(
                (height, width), struct.unpack_from(">HH", body, 1), key=lambda size: size[0] * size[1]
            )
        elif marker == 0xE1 and body.startswith(b"Exif\0\0"):
            orientation = exif_orientation(body[6:])
        if marker in JPEG_APPLICATION or marker == JPEG_COMMENT:
            keep = any(marker == segment and body.startswith(head) for segment, head in JPEG_COLOUR_SEGMENTS)
        else:
            keep = True
        if keep:
            pixels.append(content[start:end])
    return PictureContainer("JPEG", width, height, orientation, b"".join(pixels))


def _jpeg_segments(content: bytes, name: str) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment; the last one begins the scan and runs to the end."""
    position = 2
    while True:
        # A marker may be preceded by any number of fill bytes.
        while content[position : position + 2] == b"\xff\xff":
            position += 1
        if len(content) - position < 4:
            raise _ends_early(name, "JPEG")
        if content[position] != 0xFF or content[position + 1] in (0x00, JPEG_END):
            raise UnreadableInputError(
                f"{name} is a damaged JPEG picture: byte {position} is no segment", hint="save it again"
            )
        marker = content[position + 1]
        if marker in JPEG_WITHOUT_LENGTH:
            position += 2
            continue
        if marker == JPEG_SCAN:
            yield marker, position, len(content)
            return
        (length,) = struct.unpack_from(">H", content, position + 2)
        end = position + 2 + length
        if length < 2 or end > len(content):
            raise _ends_early(name, "JPEG")
        yield marker, position, end
        position = end


def exif_orientation(exif: bytes) -> int:
    """The orientation, 1 to 8, that an EXIF block (a TIFF header and what follows) gives; 1 if none.

    A broken block counts as none: the picture is readable without it.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None or len(exif) < 8:
        return 1
    (directory,) = struct.unpack_from(order + "I", exif, 4)
    if directory + 2 > len(exif):
        return 1
    (entries,) = struct.unpack_from(order + "H", exif, directory)
    for entry in range(directory + 2, min(directory + 2 + 12 * entries, len(exif) - 11), 12):
        tag, kind, _count, value = struct.unpack_from(order + "HHIH", exif, entry)
        if tag == EXIF_ORIENTATION and kind == 3 and 1 <= value <= 8:
            return int(value)
    return 1


def _ends_early(name: str, kind: str) -> UnreadableInputError:
    return UnreadableInputError(f"{name} is a {kind} picture that ends early", hint="copy or save it again")
