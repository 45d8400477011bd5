"""Results to make reports of: small videos that are real, and as many rows as one wants."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image

from flows.report.analysis_cache import analysis_as_json, cache_path
from flows.state.results import ResultLine, RowResult, write_results
from sonic_ops.media.encoding import EncodeSettings, encode_frames
from sonic_ops.media.muxing import mux
from sonic_ops.media.soundtrack import Soundtrack
from sonic_ops.quality.analysis import NUM_BINS, Curves, VideoAnalysis, analyse_video
from sonic_ops.quality.measures import Interval

FACE = Path(__file__).parents[2] / "golden" / "faces" / "glasses.png"
EVIL = '"><script>window.hacked=1</script><img src=x onerror="window.hacked=1">'
ERROR: dict[str, Any] = {
    "error_class": "MissingFileError",
    "error": "column audio: there is nothing",
    "remedy": "Check it.",
}


def make_video(target: Path, num_frames: int = 50) -> Path:
    """A face that sways, with a voice that swells."""
    with Image.open(FACE) as image:
        face = np.asarray(image.convert("RGB").resize((64, 64)))
    silent = target.with_suffix(".silent.mp4")
    pictures = (np.roll(face, n // 5 % 3, axis=1) for n in range(num_frames))
    encode_frames(pictures, silent, EncodeSettings(preset="ultrafast", gop_frames=25))
    time_S = np.arange(num_frames * 640) / 16000
    audio_S = 0.3 * np.sin(2 * np.pi * 3 * time_S) * np.sign(np.sin(2 * np.pi * 180 * time_S))
    wav = target.with_suffix(".wav")
    soundfile.write(wav, audio_S.astype(np.float32), 16000)
    mux(silent, Soundtrack(str(wav)), target)
    silent.unlink()
    wav.unlink()
    return target


def done(row: int, output: Path, **known: Any) -> RowResult:
    """The result of a finished row."""
    result = RowResult(
        row,
        f"row-{row:03}",
        "done",
        output=str(output),
        num_frames=25,
        video_s=2.0,
        wall_s=10.0 + row,
        worker_s=8.0,
        audio_offset_ms=0.1,
        provenance="metadata, XMP, not signed",
        fingerprint=f"{row:064x}",
        attempts=1,
    )
    return replace(result, **known)


def write_table(
    folder: Path, results: Sequence[RowResult], extras: Mapping[str, object] | None = None
) -> str:
    """A results table; every row has the same extras."""
    url = str(folder / "lectures.results.parquet")
    lines: list[ResultLine] = [(result, extras or {}) for result in results]
    write_results(url, lambda: lines)
    return url


def many_rows(folder: Path, num_rows: int) -> str:
    """A table of videos that have been looked at; one of ten rows has failed."""
    video = make_video(folder / "one.mp4")
    analysis = analyse_video(video)
    parts = tuple(Interval(30.0 * n, 30.0 * (n + 1), analysis.measures) for n in range(4))
    rng = np.random.default_rng(0)
    results = []
    for row in range(1, num_rows + 1):
        output = folder / "videos" / f"{row:03}.mp4"
        if row % 10 == 0:
            results.append(RowResult(row, f"row-{row:03}", "failed", output=str(output), **ERROR))
            continue
        output.parent.mkdir(exist_ok=True)
        shutil.copyfile(video, output)
        notes = "the face is small; the audio clips" if row % 7 == 0 else ""
        results.append(done(row, output, notes=notes))
        kept = Path(cache_path(str(output)))
        kept.parent.mkdir(parents=True, exist_ok=True)
        # Not published one by one: a disk takes its time for hundreds of files that must be safe.
        kept.write_text(analysis_as_json(results[-1], _varied(analysis, parts, rng)))
    return write_table(folder, results, {"lecture": "Analysis"})


def _varied(
    analysis: VideoAnalysis, parts: tuple[Interval, ...], rng: np.random.Generator
) -> VideoAnalysis:
    """Return an analysis of the size that a video of 512 pixels and many minutes has."""
    values = {name: _bumpy(rng) for name in ("wave", "pitch_hz", "loudness_db", "voice_db")}
    motion = {name: _bumpy(rng) for name in ("mouth", "head_x", "head_y", "eyes")}
    measures = replace(analysis.measures, lip_sync=float(rng.uniform(0.2, 0.9)))
    padding = rng.bytes(4000)  # a decoder of WebP ignores what follows the picture
    return replace(
        analysis,
        measures=measures,
        parts=parts,
        curves=Curves(**values, **motion, pauses_s=analysis.curves.pauses_s),
        poster=analysis.poster + padding,
        sheet=analysis.sheet + padding,
    )


def _bumpy(rng: np.random.Generator) -> tuple[float, ...]:
    return tuple(rng.uniform(0, 1, NUM_BINS).round(3).tolist())
