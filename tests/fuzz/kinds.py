"""The kinds of files that strangers bring: good examples of each, and what reads them."""

import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
import torch
from PIL import Image
from safetensors.torch import save

from flows.preflight.claims import Claims
from flows.preflight.inputs import inspect_audio
from flows.rows.config import load_preset
from flows.rows.manifest import open_manifest
from flows.rows.rows import BadRow, parse_row, passed_through
from flows.state.results import RowResult, rejected, write_results
from sonic_ops.core.config import PortraitConfig
from sonic_ops.core.errors import SonicError
from sonic_ops.media.subtitles import cut, in_text, read_subtitles
from sonic_ops.models.inventory import read_weights, stored_shapes
from sonic_ops.picture.portrait import load_portrait
from tests.field.media import DATA, EXAMPLES, SPEECH, film_in, speech_in

ROWS = [
    {"id": f"row {n}", "portrait": "a.png", "audio": "a.wav", "output": f"out/{n}.mp4", "seed": n,
     "start": "0:01", "end": 2.5, "face_box": [1, 2, 30, 40], "language": "de", "fps": "30",
     "more": "Zoë, “x”"}
    for n in range(4)
]  # fmt: skip
LONGEST_SENTENCE = 5000


@dataclass(frozen=True)
class Kind:
    """How files of a kind are called, good ones, and what reads them."""

    ending: str
    is_text: bool
    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], None]


def check(error: SonicError) -> None:
    """Make sure that an error is a sentence with a remedy."""
    assert error.message, "an error without words"
    assert error.remedy, "an error without a remedy"
    assert len(str(error)) < LONGEST_SENTENCE, "an error of many pages"


def _images() -> list[bytes]:
    picture = Image.open(EXAMPLES / "ada.png").convert("RGB").resize((64, 64))
    found = []
    for form in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "AVIF", "HEIF", "JPEG2000"):
        file = io.BytesIO()
        picture.save(file, form)
        found.append(file.getvalue())
    return found


def _recordings() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        short = Path(folder) / "short.wav"
        samples, rate = soundfile.read(SPEECH, frames=8000)
        soundfile.write(short, samples, rate)
        names = ("a.mp3", "a.m4a", "a.ogg", "a.opus", "a.flac", "a.mka", "a.aiff", "a.ac3", "a.wma")
        made = [speech_in(Path(folder) / name, "-t", "0.4") for name in names]
        return [path.read_bytes() for path in (short, *made)]


def _films() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        names = ("a.mp4", "a.webm", "a.mkv", "a.mov", "a.avi", "a.ts")
        made = [film_in(Path(folder) / name, "-t", "0.4", "-s", "64x64") for name in names]
        return [path.read_bytes() for path in made] + [(DATA / "late.mp4").read_bytes()]


def _csv() -> list[bytes]:
    names = list(ROWS[0])
    found = []
    for separator in ",;\t":
        rows = [
            [
                f'"{row[name]}"' if n % 3 else str(row[name])
                for n, name in enumerate(names)
                if name != "face_box"
            ]
            for row in ROWS
        ]
        head = separator.join(name for name in names if name != "face_box")
        found.append("\r\n".join([head, *map(separator.join, rows)]).encode())
    return [
        *found,
        found[0].decode().encode("utf-16"),
        found[1].decode().encode("cp1252", "replace"),
    ]


def _json_lines() -> list[bytes]:
    return [
        "\n".join(json.dumps(row, ensure_ascii=asc) for row in ROWS).encode()
        for asc in (True, False)
    ]


def _parquet() -> list[bytes]:
    found = []
    for options in ({}, {"compression": "zstd"}, {"use_dictionary": False}, {"version": "1.0"}):
        file = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(ROWS), file, **options)
        found.append(file.getvalue())
    return found


def _yaml() -> list[bytes]:
    folder = Path(__file__).parents[2] / "configs"
    anchors = b"a: &a [1, 2]\nb: &b [*a, *a]\nmodels: {weights: package:sketch}\n"
    return [*(path.read_bytes() for path in sorted(folder.glob("*.yaml"))), anchors]


def _srt() -> list[bytes]:
    cues = [f"{n}\n00:00:0{n},000 --> 00:00:0{n},900\n<i>Zoë</i> {n}\n" for n in range(1, 5)]
    ass = "[Script Info]\nScriptType: v4.00+\n[Events]\nFormat: Start, End, Text\n"
    ass += "Dialogue: 0:00:01.00,0:00:02.00,{\\i1}a\n"
    micro = "{1}{25}a|b\n{30}{50}c\n"
    sami = "<SAMI><BODY><SYNC Start=0><P>a<SYNC Start=900><P>b</BODY></SAMI>"
    return [text.encode() for text in ("\n".join(cues), "\r\n".join(cues), ass, micro, sami)]


def _vtt() -> list[bytes]:
    cues = "".join(
        f"name {n}\n00:0{n}.000 --> 00:0{n}.900 align:start\n<v Ada>a &amp; b\n\n" for n in range(5)
    )
    return [
        f"WEBVTT\n\nNOTE x\n\nSTYLE\n::cue {{}}\n\n{cues}".encode(),
        f"\ufeffWEBVTT - t\n\n{cues}".encode(),
    ]


def _safetensors() -> list[bytes]:
    tensors = {
        "a": torch.zeros(3, 4),
        "b.c": torch.ones(5, dtype=torch.float16),
        "d": torch.arange(3),
    }
    return [save(tensors), save(tensors, {"format": "pt"}), save({"a": torch.zeros(0)})]


def _read_image(path: Path) -> None:
    np.asarray(load_portrait(str(path), PortraitConfig(), None).image)


def _read_audio(path: Path) -> None:
    inspect_audio(str(path), None, None)


def _read_film(path: Path) -> None:
    for read in (_read_image, _read_audio):
        try:
            read(path)
        except SonicError as error:
            check(error)


def _read_table(path: Path) -> None:
    """Read a manifest as the preflight does, and write what becomes of its rows."""
    with open_manifest(str(path)) as manifest:
        claims, found = Claims(), []
        for line in manifest.lines():
            row = parse_row(line, str(path.parent), str(path.parent / "out"))
            claims.take(row)
            for error in row.errors:
                check(error)
            bad = BadRow(row.number, row.id, row.errors, row.output, row.place)
            result = rejected(bad) if row.errors else RowResult(row.number, row.id, "waiting")
            found.append((result, passed_through(line)))
        claims.close()
        for result, _ in found:
            json.dumps(result.to_write())
        write_results(str(path.parent / "m.results.parquet"), lambda: iter(found))


def _read_preset(path: Path) -> None:
    load_preset(str(path))


def _read_subtitles(path: Path) -> None:
    found = read_subtitles(str(path))
    for ending in (".srt", ".vtt"):
        in_text(cut(found.cues, 0.5, 3.0), ending)


def _read_weights(path: Path) -> None:
    stored_shapes([path])
    read_weights([path])


KINDS = {
    "image": Kind("png", False, _images, _read_image),
    "audio": Kind("wav", False, _recordings, _read_audio),
    "video": Kind("mp4", False, _films, _read_film),
    "csv": Kind("csv", True, _csv, _read_table),
    "jsonl": Kind("jsonl", True, _json_lines, _read_table),
    "parquet": Kind("parquet", False, _parquet, _read_table),
    "yaml": Kind("yaml", True, _yaml, _read_preset),
    "srt": Kind("srt", True, _srt, _read_subtitles),
    "vtt": Kind("vtt", True, _vtt, _read_subtitles),
    "safetensors": Kind("safetensors", False, _safetensors, _read_weights),
}


@cache
def seeds_of(kind: str) -> list[bytes]:
    """Return the good files of a kind."""
    return KINDS[kind].seeds()
