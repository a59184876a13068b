"""Pictures that are small as files and expensive for a careless reader, and a child that reads them."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from drawings import draw, encoded
from numpy.typing import NDArray
from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, PALETTE, RGBA = 0, 3, 6


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *, depth: int = 8, colour: int = GREY, between: bytes = b"") -> bytes:
    """A PNG of one shade, made without holding its pixels."""
    samples = 4 if colour == RGBA else 1
    row = bytes(1 + -(-width * depth * samples // 8))
    pixels = zlib.compressobj()
    body = b"".join(pixels.compress(row) for _ in range(height)) + pixels.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"".join(
        (PNG_SIGNATURE, chunk(b"IHDR", header), between, chunk(b"IDAT", body), chunk(b"IEND", b""))
    )


def png_of_many_parts(parts: int) -> bytes:
    """The pixels spread over many chunks, most of which are empty."""
    content = encoded(draw())
    return content[:33] + chunk(b"IDAT", b"") * parts + content[33:]


def jpeg_of_many_scans(side: int, scans: int) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    picture = draw(size=(side, side), height=side // 2)
    content = encoded(picture, "JPEG", progressive=True, quality=20)
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * scans + content[-2:]


def jpeg_of_many_comments(comments: int) -> bytes:
    content = encoded(draw(), "JPEG")
    return content[:2] + b"\xff\xfe\0\2" * comments + content[2:]


def exif_bomb() -> bytes:
    """Tens of thousands of values that share the same bytes: gigabytes, once each is copied."""
    entries = 60_000
    size = 8_000_000
    directory = b"".join(struct.pack("<HHII", 1 + tag, 7, size, 8) for tag in range(entries))
    block = b"II*\0\x08\0\0\0" + struct.pack("<H", entries) + directory
    content = encoded(draw())
    return content[:33] + chunk(b"eXIf", block + bytes(size)) + content[33:]


def text_bomb() -> bytes:
    body = b"Comment\0\0" + zlib.compress(bytes(20_000_000))
    content = encoded(draw())
    return content[:33] + chunk(b"zTXt", body) + content[33:]


def spots(side: int, every: int) -> NDArray[np.uint8]:
    page = np.full((side, side), 255, np.uint8)
    page[every // 2 :: every, every // 2 :: every] = 0
    return page


def frames(side: int, every: int) -> NDArray[np.uint8]:
    """Squares around squares."""
    down, across = np.mgrid[:side, :side]
    depth = np.minimum(np.minimum(down, side - 1 - down), np.minimum(across, side - 1 - across))
    return np.where(depth % every == every // 2, 0, 255).astype(np.uint8)


def noise(side: int, levels: int) -> Image.Image:
    page = np.random.default_rng(0).integers(0, levels, (side, side), np.uint8) * np.uint8(
        255 // (levels - 1)
    )
    image = Image.fromarray(page)
    return image.convert("1", dither=Image.Dither.NONE) if levels == 2 else image


def of(page: NDArray[np.uint8]) -> Callable[[], bytes]:
    return lambda: encoded(Image.fromarray(page))


def animation() -> bytes:
    later = [Image.new("L", (320, 240), shade) for shade in range(200)]
    return encoded(draw(), save_all=True, append_images=later)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "spots, 2 pixels apart": lambda: encoded(Image.fromarray(spots(1000, 2)).convert("1")),
    "spots, 4 pixels apart": lambda: encoded(Image.fromarray(spots(512, 4)).convert("1")),
    "spots, 200 pixels apart": lambda: encoded(Image.fromarray(spots(5000, 200)).convert("1")),
    "frames in frames": lambda: encoded(Image.fromarray(frames(1000, 4)).convert("1")),
    "thick frames in frames": lambda: encoded(Image.fromarray(frames(1000, 24)).convert("1")),
    "checkerboard": of(np.indices((1000, 1000), np.uint8).sum(0, np.uint8) % 2 * 255),
    "large checkerboard": of(
        np.kron(np.indices((200, 200), np.uint8).sum(0, np.uint8) % 2 * 255, np.ones((25, 25), np.uint8))
    ),
    "noise": lambda: encoded(noise(1000, 256)),
    "noise of two levels": lambda: encoded(noise(3000, 2)),
    "shading": of(np.tile(np.linspace(0, 255, 1000).astype(np.uint8), (1000, 1))),
    "one line across": of(np.where(np.arange(1000) == 500, 0, 255).astype(np.uint8)[:, None].repeat(10, 1)),
    "two far spots": of(np.pad(np.eye(2, dtype=np.uint8) * 255, ((0, 998), (0, 998)))),
    "25 million pixels": lambda: png(5000, 5000),
    "25 million pixels of 16 bits": lambda: png(5000, 5000, depth=16),
    "25 million transparent pixels of 16 bits": lambda: png(5000, 5000, depth=16, colour=RGBA),
    "25 million pixels of a palette": lambda: png(
        5000, 5000, colour=PALETTE, between=chunk(b"PLTE", bytes(3)) + chunk(b"tRNS", b"\x80")
    ),
    "25 million pixels, a hundred times as wide": lambda: png(50_000, 500, depth=16),
    "a row of 25 million pixels": lambda: png(25_000_000, 1, depth=16),
    "a column of 25 million pixels": lambda: png(1, 2_000_000, depth=16),
    "50 million pixels": lambda: png(10_000, 5_000, depth=1),
    "many parts of a PNG": lambda: png_of_many_parts(800_000),
    "many parts of a JPEG": lambda: jpeg_of_many_comments(2_000_000),
    "fill bytes": lambda: b"\xff\xd8" + b"\xff" * 9_000_000,
    "thousands of scans": lambda: jpeg_of_many_scans(300, 5000),
    "as many scans as are read": lambda: jpeg_of_many_scans(4000, 80),
    "25 million pixels of a JPEG": lambda: encoded(Image.new("CMYK", (5000, 5000)), "JPEG", progressive=True),
    "an EXIF bomb": exif_bomb,
    "a text bomb": text_bomb,
    "an animation": animation,
}

CHILD = """
import json, resource, sys, time
from pathlib import Path
from toolkit.errors import ToolkitError
from toolkit.pictures import prepare_picture

def peak_memory():
    # What getrusage says on Linux includes the parent, from before the child's own program began.
    for line in open("/proc/self/status") if sys.platform == "linux" else ():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

resource.setrlimit(resource.RLIMIT_CPU, (300, 300))
prepare_picture(Path(sys.argv[1]) / "plain.png")
peak = peak_memory()
for path in sorted(Path(sys.argv[1]).glob("*.picture")):
    began = time.process_time()
    try:
        prepare_picture(path)
        outcome = "prepared"
    except ToolkitError as error:
        outcome = error.code
    seconds = time.process_time() - began
    print(json.dumps([path.stem, outcome, seconds, peak_memory() - peak]), flush=True)
"""


def read_in_a_child(folder: Path) -> dict[str, tuple[str, float, int]]:
    """Read every hostile picture in one child process.

    Returns:
        By name: the outcome, the CPU seconds, and by how many bytes the child's peak memory
        exceeds what an ordinary picture takes, this picture and the earlier ones included.
    """
    (folder / "plain.png").write_bytes(encoded(draw()))
    for name, content in HOSTILE.items():
        (folder / f"{name}.picture").write_bytes(content())
    command = [sys.executable, "-c", CHILD, str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return {name: tuple(reading) for name, *reading in map(json.loads, ended.stdout.splitlines())}


if __name__ == "__main__":
    for name, (outcome, seconds, memory) in read_in_a_child(Path(sys.argv[1])).items():
        print(f"{name:45} {outcome:12} {seconds:6.2f} s {memory / 1e6:6.0f} MB")
