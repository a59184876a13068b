"""What a PNG or JPEG file says before its pixels are decoded, and the parts that hold the pixels.

Everything else is left out, so that no decoder reads compressed texts, colour profiles, further
frames or thumbnails of an untrusted file. What makes decoding slow is counted first.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Literal

from toolkit.errors import LimitReachedError, UnreadableInputError, UnsupportedError

MAX_PARTS = 20_000
MAX_SCANS = 100

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8\xff"
OTHER_FORMATS = {
    rb"GIF8": "a GIF picture",
    rb"BM": "a BMP picture",
    rb"II\*\0|MM\0\*": "a TIFF picture",
    rb"RIFF....WEBP": "a WebP picture",
    rb"....ftyp(hei|mif1)": "a HEIF picture",
    rb"....ftypavif": "an AVIF picture",
    rb"%PDF": "a PDF document",
    rb"<svg": "an SVG drawing",
}

PNG_PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
JPEG_HUFFMAN_FRAMES = (0xC0, 0xC1, 0xC2)
JPEG_OTHER_FRAMES = (0xC3, 0xC5, 0xC6, 0xC7, *range(0xC9, 0xCC), *range(0xCD, 0xD0))
JPEG_METADATA = (*range(0xE0, 0xF0), 0xFE)
# These two say how colours are coded.
JPEG_COLOUR = (b"\xff\xe0..JFIF\0", b"\xff\xee..Adobe")


@dataclass(frozen=True, slots=True)
class Container:
    """A picture file without its metadata.

    Attributes:
        format: Pillow's name of the format.
        size: Width and height in pixels, as stored.
        orientation: EXIF's, 1 to 8; 1 is as stored.
        pixels: The file's parts that the decoder needs.
    """

    format: Literal["PNG", "JPEG"]
    size: tuple[int, int]
    orientation: int
    pixels: bytes


def read_container(content: bytes, name: str) -> Container:
    """Read the header of a picture file.

    Args:
        content: The whole file.
        name: Of the file, for errors.

    Raises:
        UnsupportedError: A picture in another format.
        UnreadableInputError: Not a picture, or a truncated one.
        LimitReachedError: More than 20,000 parts, or more than 100 scans.
    """
    if content.startswith(PNG_SIGNATURE):
        return _read_png(content, name)
    if content.startswith(JPEG_SIGNATURE):
        return _read_jpeg(content, name)
    if not content:
        raise UnreadableInputError(f"{name} is empty", hint="give a PNG or JPEG picture")
    for signature, kind in OTHER_FORMATS.items():
        if re.match(signature, content, re.DOTALL):
            raise UnsupportedError(f"{name} is {kind}", hint="save it as PNG or JPEG")
    raise UnreadableInputError(
        f"{name} is not a picture: it begins with {content[:8]!r}", hint="give a PNG or JPEG picture"
    )


def _read_png(content: bytes, name: str) -> Container:
    size, orientation = (0, 0), 1
    pixels, position = [PNG_SIGNATURE], len(PNG_SIGNATURE)
    for _ in range(MAX_PARTS):
        if len(content) - position < 12:
            raise _truncated(name, "PNG")
        length, kind = struct.unpack_from(">I4s", content, position)
        end = position + 12 + length
        if end > len(content):
            raise _truncated(name, "PNG")
        if kind == b"IHDR" and length == 13:
            size = struct.unpack_from(">II", content, position + 8)
        elif kind == b"eXIf":
            orientation = exif_orientation(content[position + 8 : end - 4])
        if kind in PNG_PIXEL_CHUNKS:
            pixels.append(content[position:end])
        if kind == b"IEND":
            return Container("PNG", size, orientation, b"".join(pixels))
        position = end
    raise _too_many(name, f"{MAX_PARTS:,} parts")


def _read_jpeg(content: bytes, name: str) -> Container:
    size, orientation = (0, 0), 1
    pixels, position = [b"\xff\xd8"], 2
    for _ in range(MAX_PARTS):
        # Any number of fill bytes may precede a marker.
        fill = re.compile(rb"\xff+(?=\xff)").match(content, position)
        position = fill.end() if fill else position
        if len(content) - position < 4:
            raise _truncated(name, "JPEG")
        start, marker, length = struct.unpack_from(">BBH", content, position)
        end = position + 2 + length
        if start != 0xFF or length < 2 or marker < 0xC0 or marker in range(0xD0, 0xDA):
            raise UnreadableInputError(
                f"{name} is a damaged JPEG picture: no segment at byte {position}", hint="save it again"
            )
        if end > len(content):
            raise _truncated(name, "JPEG")
        segment = content[position:end]
        if marker == 0xDA:
            pixels.append(_scans(content, position, name))
            return Container("JPEG", size, orientation, b"".join(pixels))
        if marker in JPEG_OTHER_FRAMES:
            raise UnsupportedError(
                f"{name} is a lossless or arithmetic-coded JPEG picture", hint="save it as PNG"
            )
        if marker in JPEG_HUFFMAN_FRAMES and length >= 7:
            height, width = struct.unpack_from(">HH", segment, 5)
            size = max(size, (width, height), key=lambda pair: pair[0] * pair[1])
        elif segment[4:10] == b"Exif\0\0":
            orientation = exif_orientation(segment[10:])
        if marker not in JPEG_METADATA or any(re.match(head, segment, re.DOTALL) for head in JPEG_COLOUR):
            pixels.append(segment)
        position = end
    raise _too_many(name, f"{MAX_PARTS:,} parts")


def _scans(content: bytes, start: int, name: str) -> bytes:
    """From the first scan to the end of the picture; often another picture or a film follows."""
    end = content.find(b"\xff\xd9", start) + 2
    scans = content[start : end if end > 1 else None]
    if scans.count(b"\xff\xda") > MAX_SCANS:
        raise _too_many(name, f"{MAX_SCANS} scans")
    return scans


def exif_orientation(exif: bytes) -> int:
    """The orientation, 1 to 8, in an EXIF block (a TIFF header and what follows).

    A damaged block counts as 1. Pillow would read all of its values, which may overlap and add
    up to gigabytes.
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
        if (tag, kind) == (0x0112, 3) and 1 <= value <= 8:
            return int(value)
    return 1


def _truncated(name: str, kind: str) -> UnreadableInputError:
    return UnreadableInputError(f"{name} is a truncated {kind} picture", hint="copy or save it again")


def _too_many(name: str, what: str) -> LimitReachedError:
    return LimitReachedError(f"{name} has more than {what}", hint="save it again with another program")
