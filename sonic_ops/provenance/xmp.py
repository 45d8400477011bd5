"""The XMP packet of a finished file: put in and read back, in every container that has a place.

Source: XMP specification, part 3, storage in files (QuickTime's place is filled by FFmpeg); WebP
container specification. MP4 takes the packet at its end, so that no offset in the file changes.
"""

import shutil
from collections.abc import Iterator
from io import SEEK_CUR, SEEK_END
from pathlib import Path
from typing import IO
from uuid import UUID

from PIL import Image

from sonic_ops.core.files import draft_of
from sonic_ops.core.formats import format_of

_XMP_UUID = UUID("be7acfcb-97a9-42e8-9c71-999491e3afac").bytes
_GIF_HEADER = b"\x21\xff\x0bXMP DataXMP"
_GIF_LOOP = b"\x21\xff\x0bNETSCAPE2.0"
_GIF_LOOP_BYTES = 19
# Readers that know no XMP take the packet for blocks of a length, and from anywhere in it fall
# through these bytes to the end: each says how many of them are left.
_GIF_TRAILER = bytes([1, *range(255, -1, -1), 0])
_MAX_PACKET_BYTES = 1 << 16
_WEBP_HAS_XMP = 0x04
_Box = tuple[bytes, int, int]
"""The kind of a box of MP4, and `[start, stop)` of what it holds."""


def embed_xmp(path: Path, packet: bytes) -> None:
    """Put a packet into a finished MP4, GIF or WebP file; the others take it while muxed."""
    match format_of(path.name).muxer:
        case "mp4":
            with path.open("ab") as file:
                file.write(_sized_box(b"uuid", _XMP_UUID + packet))
        case "gif":
            _embed_in_gif(path, packet)
        case "webp":
            _embed_in_webp(path, packet)


def read_xmp(path: Path) -> bytes | None:
    """Read the packet of a file; None if it has none or cannot have one."""
    with path.open("rb") as file:
        match format_of(path.name).muxer:
            case "mp4":
                return _from_mp4(file)
            case "mov":
                return _from_mov(file)
            case "gif":
                return _from_gif(file)
            case "webp":
                with Image.open(path) as image:
                    found = image.info.get("xmp")
                    return found if isinstance(found, bytes) else None
    return None


def _sized_box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + kind + content


def _boxes(file: IO[bytes], start: int, stop: int) -> Iterator[_Box]:
    """Yield the boxes in the bytes `[start, stop)`. Source: ISO 14496-12, 4.2."""
    while start + 8 <= stop:
        file.seek(start)
        header = file.read(16)
        size, content = int.from_bytes(header[:4], "big"), start + 8
        if size == 1:
            size, content = int.from_bytes(header[8:], "big"), start + 16
        end = stop if size == 0 else min(start + size, stop)
        if end <= start:  # damage
            return
        yield header[4:8], content, end
        start = end


def _from_mp4(file: IO[bytes]) -> bytes | None:
    for kind, start, stop in _boxes(file, 0, file.seek(0, SEEK_END)):
        file.seek(start)
        if kind == b"uuid" and file.read(16) == _XMP_UUID:
            return file.read(stop - start - 16)
    return None


def _from_mov(file: IO[bytes]) -> bytes | None:
    inner = [(b"", 0, file.seek(0, SEEK_END))]
    for wanted in (b"moov", b"udta", b"XMP_"):
        inner = [
            box for _, start, stop in inner for box in _boxes(file, start, stop) if box[0] == wanted
        ]
    for _, start, stop in inner:
        file.seek(start)
        return file.read(stop - start)
    return None


def _from_gif(file: IO[bytes]) -> bytes | None:
    """Read it from the extensions before the first image. Source: GIF89a, 24 to 26."""
    _gif_head(file)
    while (start := file.read(3))[:1] == _GIF_HEADER[:1] and len(start) == 3:
        if start + file.read(start[2]) == _GIF_HEADER:
            packet, trailer, _ = file.read(_MAX_PACKET_BYTES).partition(_GIF_TRAILER)
            return packet if trailer else None
        while length := int.from_bytes(file.read(1)):
            file.seek(length, SEEK_CUR)
    return None


def _gif_head(file: IO[bytes]) -> bytes:
    """Read the bytes before the first extension."""
    head = file.read(13)
    has_colours, exponent = head[10] & 0x80, head[10] & 0x07
    return head + (file.read(3 << (exponent + 1)) if has_colours else b"")


def _embed_in_gif(path: Path, packet: bytes) -> None:
    """Insert it as the first extension after the loop extension."""
    with path.open("rb") as source, draft_of(path) as draft, draft.open("wb") as target:
        head = _gif_head(source)
        after = source.read(_GIF_LOOP_BYTES)
        loop = after if after.startswith(_GIF_LOOP) else b""
        target.write(head + loop + _GIF_HEADER + packet + _GIF_TRAILER)
        target.write(after[len(loop) :])
        shutil.copyfileobj(source, target)


def _embed_in_webp(path: Path, packet: bytes) -> None:
    """Append it as the last chunk, and set its flag in the header."""
    with Image.open(path) as image:
        width, height = image.size
    with path.open("r+b") as file:
        file.seek(12)
        header = file.read(18)
        if header[:4] != b"VP8X":  # an image that does not move has a header of the short form
            frames = header + file.read()
            canvas = b"".join((side - 1).to_bytes(3, "little") for side in (width, height))
            header = b"VP8X" + (10).to_bytes(4, "little") + bytes(4) + canvas
            file.seek(12 + len(header))
            file.write(frames)
        file.seek(12)
        file.write(header[:8] + bytes([header[8] | _WEBP_HAS_XMP]) + header[9:])
        file.seek(0, SEEK_END)
        file.write(b"XMP " + len(packet).to_bytes(4, "little") + packet + bytes(len(packet) % 2))
        size = file.tell()
        file.seek(4)
        file.write((size - 8).to_bytes(4, "little"))
