"""Inputs that are nearly right: a seed and a number give the same bytes everywhere.

Text is changed by its tokens and lines, binary files by their chunks, boxes and numbers.
"""

import random
import re
import struct
import zlib
from collections.abc import Callable, Sequence

_TOKEN = re.compile(rb"\d+(?:\.\d+)?|\w+|\s+|.", re.DOTALL)
_NASTY = (
    b"", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b'"', b"'", b"\\", b"\r", b"\n",
    b"\x1b[2J", "\u202e".encode(), "\u2028".encode(), b"-1", b"0", b"1e400", b"NaN", b"-Infinity",
    b"99999999999999999999", b"0x7f", b"1_000", b"[" * 2000, b"{" * 2000, b'{"a":' * 500,
    b"<" * 500, b"&a *a", b"!!python/object/apply:os.system [a]", b"<<: *a", b"${HOME}", b"%s%n",
    b"../../etc/passwd", b"/dev/zero", b"file:///etc/passwd", b"http://127.0.0.1:1/a", b"~root/a",
    b"simplecache::file:///dev/zero", b"data:,a", b"=cmd|' /C calc'!A0", b"<script>", b"-->",
    b"00:00:00,000", b"99:99:99.999", b"WEBVTT\n", b"a" * 5000, "\u00e9".encode() * 100, b",,,,,",
)  # fmt: skip
_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_BOXES = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"udta", b"meta", b"iprp", b"ipco")

Mutation = Callable[[random.Random, bytes], bytes]


def mutated(seeds: Sequence[bytes], dice: random.Random, *, is_text: bool) -> bytes:
    """Change one of the seeds in one to four ways."""
    content = dice.choice(seeds)
    ways = _TEXT if is_text else _BINARY
    for _ in range(dice.choice((1, 1, 2, 4))):
        if dice.random() < 0.1:
            content = _spliced(dice, content, dice.choice(seeds))
        else:
            content = dice.choice(ways)(dice, content)
    return content[: 1 << 22]


def _spliced(dice: random.Random, one: bytes, other: bytes) -> bytes:
    return one[: dice.randint(0, len(one))] + other[dice.randint(0, len(other)) :]


def _token(dice: random.Random, content: bytes) -> bytes:
    tokens = _TOKEN.findall(content) or [b""]
    tokens[dice.randrange(len(tokens))] = dice.choice((*_NASTY, dice.choice(tokens)))
    return b"".join(tokens)


def _line(dice: random.Random, content: bytes) -> bytes:
    lines = content.splitlines(keepends=True) or [b""]
    place, other = dice.randrange(len(lines)), dice.choice(lines)
    act = dice.randrange(4)
    lines[place : place + (act != 0)] = (
        [other],
        [],
        [lines[place]] * dice.choice((2, 300)),
        [other],
    )[act]
    return b"".join(lines)


def _truncated(dice: random.Random, content: bytes) -> bytes:
    return content[: dice.randint(0, len(content))]


def _bits(dice: random.Random, content: bytes) -> bytes:
    changed = bytearray(content or b"\0")
    for _ in range(dice.choice((1, 3, 30))):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _number(dice: random.Random, content: bytes) -> bytes:
    """Replace a number of 1 to 8 bytes, at the start or end more often than in between."""
    form = dice.choice(("B", "<H", ">H", "<I", ">I", "<Q", ">Q"))
    value = dice.choice(_NUMBERS) & ((1 << 8 * struct.calcsize(form)) - 1)
    span = min(len(content), dice.choice((64, 512, len(content))))
    place = dice.randrange(span + 1)
    place = place if dice.random() < 0.6 else max(len(content) - place, 0)
    written = struct.pack(form, value)
    return content[:place] + written + content[place + len(written) :]


def _block(dice: random.Random, content: bytes) -> bytes:
    start = dice.randint(0, len(content))
    stop = min(start + dice.choice((1, 4, 16, 200, 5000)), len(content))
    middle = dice.choice((b"", content[start:stop] * 2, bytes(stop - start), dice.choice(_NASTY)))
    return content[:start] + middle + content[stop:]


def _chunks(dice: random.Random, content: bytes) -> bytes:
    """Change a chunk of PNG, RIFF or MP4 and keep the file consistent around it."""
    if content.startswith(b"\x89PNG"):
        return _png(dice, content)
    if content[4:8] == b"ftyp":
        return _mp4(dice, content)
    return _number(dice, content)


def _png(dice: random.Random, content: bytes) -> bytes:
    chunks, place = [], 8
    while place + 12 <= len(content):
        (size,) = struct.unpack_from(">I", content, place)
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + size]))
        place += size + 12
    if not chunks:
        return content
    index = dice.randrange(len(chunks))
    name, body = chunks[index]
    chunks[index] = name, dice.choice((_number, _bits, _block, _truncated))(dice, body)
    if dice.random() < 0.3:
        dice.shuffle(chunks)
    packed = (
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    return content[:8] + b"".join(packed)


def _mp4(dice: random.Random, content: bytes) -> bytes:
    """Change the body of a box and write the sizes of those around it anew."""
    boxes, place = [], 0
    while place + 8 <= len(content):
        (size,) = struct.unpack_from(">I", content, place)
        size = size if 8 <= size <= len(content) - place else len(content) - place
        boxes.append((content[place + 4 : place + 8], content[place + 8 : place + size]))
        place += size
    likely = [n for n, box in enumerate(boxes) if box[0] != b"mdat"]
    if not likely:
        return _number(dice, content)
    index = dice.choice(likely)
    name, body = boxes[index]
    if name in _BOXES and dice.random() < 0.9:
        body = _mp4(dice, body)
    else:
        body = dice.choice((_number, _number, _bits, _block, _truncated))(dice, body)
    boxes[index] = name, body
    if dice.random() < 0.1:
        boxes.insert(dice.randrange(len(boxes)), boxes[index])
    return b"".join(struct.pack(">I", len(body) + 8) + name + body for name, body in boxes)


_TEXT: tuple[Mutation, ...] = (_token, _token, _token, _line, _line, _truncated, _bits, _block)
_BINARY: tuple[Mutation, ...] = (
    _number,
    _number,
    _chunks,
    _chunks,
    _chunks,
    _bits,
    _block,
    _truncated,
)
