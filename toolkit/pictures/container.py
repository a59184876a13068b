"""The parts of a PNG or JPEG file that hold its pixels.

Everything else is left out, so that no decoder reads compressed texts, colour profiles, further
frames or thumbnails of an untrusted file. What makes decoding slow is counted first.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from toolkit.errors import LimitReachedError, UnreadableInputError, UnsupportedError

MAX_PARTS = 20_000
MAX_SCANS = 100

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")

JPEG_SIGNATURE = b"\xff\xd8\xff"
# Huffman-coded baseline, extended and progressive come first.
JPEG_FRAMES = (0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
# Of the application segments, JFIF and Adobe say how colours are coded.
JPEG_METADATA = re.compile(rb"\xff([\xe1-\xed\xef\xfe]|\xe0(?!..JFIF\0)|\xee(?!..Adobe))", re.DOTALL)

OTHER_FORMATS = re.compile(
    rb"(?P<GIF>GIF8)|(?P<BMP>BM)|(?P<TIFF>II\*\0|MM\0\*)|(?P<WebP>RIFF....WEBP)|(?P<PDF>%PDF)|(?P<SVG><svg)"
    rb"|(?P<HEIF>....ftyp(?:hei|mif1))|(?P<AVIF>....ftypavif)",
    re.DOTALL,
)

# The orientation as a short number, little and big endian. Pillow would read every value of an EXIF
# block; they may overlap, and add up to gigabytes.
EXIF_ORIENTATION = re.compile(
    rb"\x12\x01\x03\x00\x01\x00\x00\x00([\x01-\x08])\x00|\x01\x12\x00\x03\x00\x00\x00\x01\x00([\x01-\x08])"
)


class Container(NamedTuple):
    """A picture file without its metadata: ``size`` and EXIF ``orientation`` are those as stored."""

    format: str
    size: tuple[int, int]
    orientation: int
    pixels: bytes


def read_container(content: bytes, name: str) -> Container:
    """Remove the metadata from a picture file; raises as :func:`toolkit.pictures.prepare_picture`."""
    if content.startswith(PNG_SIGNATURE):
        return _read_png(content, name)
    if content.startswith(JPEG_SIGNATURE):
        return _read_jpeg(content, name)
    if other := OTHER_FORMATS.match(content):
        raise UnsupportedError(f"{name} is a file in {other.lastgroup} format", hint="save it as PNG or JPEG")
    reason = f"not a picture: it begins with {content[:8]!r}" if content else "empty"
    raise UnreadableInputError(f"{name} is {reason}", hint="give a PNG or JPEG picture")


def _read_png(content: bytes, name: str) -> Container:
    size, orientation, pixels = (0, 0), 1, [PNG_SIGNATURE]
    position = len(PNG_SIGNATURE)
    for _ in range(MAX_PARTS):
        if len(content) - position < 12:
            raise _truncated(name, "PNG")
        length, kind = struct.unpack_from(">I4s", content, position)
        chunk = content[position : position + 12 + length]
        if kind == b"IHDR" and len(chunk) == 25:
            size = struct.unpack_from(">II", chunk, 8)
        elif kind == b"eXIf":
            orientation = _orientation(chunk)
        if kind in PNG_PIXEL_CHUNKS:
            pixels.append(chunk)
        position += 12 + length
        if kind == b"IEND" and position <= len(content):
            return Container("PNG", size, orientation, b"".join(pixels))
    raise _too_many(name, f"{MAX_PARTS:,} parts")


def _read_jpeg(content: bytes, name: str) -> Container:
    size, orientation, pixels = (0, 0), 1, [b"\xff\xd8"]
    position = 2
    for _ in range(MAX_PARTS):
        # Any number of fill bytes may precede a marker.
        fill = re.compile(rb"\xff+(?=\xff)").match(content, position)
        position = fill.end() if fill else position
        if len(content) - position < 4:
            raise _truncated(name, "JPEG")
        start, marker, length = struct.unpack_from(">BBH", content, position)
        if start != 0xFF or length < 2 or marker < 0xC0 or marker in range(0xD0, 0xDA):
            what = f"{name} is a damaged JPEG picture: no segment at byte {position}"
            raise UnreadableInputError(what, hint="save it again")
        if marker == 0xDA:
            # Another picture or a film may follow the end of this one.
            scans = b"".join(content[position:].partition(b"\xff\xd9")[:2])
            if scans.count(b"\xff\xda") > MAX_SCANS:
                raise _too_many(name, f"{MAX_SCANS} scans")
            return Container("JPEG", size, orientation, b"".join([*pixels, scans]))
        if marker in JPEG_FRAMES[3:]:
            raise UnsupportedError(f"{name} is a lossless or arithmetic-coded JPEG", hint="save it as PNG")
        segment = content[position : position + 2 + length]
        if marker in JPEG_FRAMES and len(segment) >= 9:
            height, width = struct.unpack_from(">HH", segment, 5)
            size = max(size, (width, height), key=lambda pair: pair[0] * pair[1])
        elif segment[4:10] == b"Exif\0\0":
            orientation = _orientation(segment)
        if not JPEG_METADATA.match(segment):
            pixels.append(segment)
        position += 2 + length
    raise _too_many(name, f"{MAX_PARTS:,} parts")


def _orientation(exif: bytes) -> int:
    found = EXIF_ORIENTATION.search(exif)
    return ord(found[1] or found[2]) if found else 1


def _truncated(name: str, kind: str) -> UnreadableInputError:
    return UnreadableInputError(f"{name} is a truncated {kind} picture", hint="copy or save it again")


def _too_many(name: str, what: str) -> LimitReachedError:
    return LimitReachedError(f"{name} has more than {what}", hint="save it again with another program")
