"""What decides the pixels of a row, in one hash: the same fingerprint, the same video."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import sonic_ops
from flows import urls
from flows.caches import cache_folder
from flows.rows.config import RenderConfig
from flows.rows.rows import Row
from sonic_ops.core.constants import FILM_NUMERICS, NUMERICS
from sonic_ops.core.files import draft_of
from sonic_ops.core.formats import format_of
from sonic_ops.core.presets import INDEX
from sonic_ops.core.weights import weights_base

SHORT = 12
"""Digits of a fingerprint that name a work folder."""

LARGE_BYTES = 64 << 20
"""The hash of a weights file from this size on is remembered by path, size and time of change."""


def fingerprint_of(
    row: Row, ours: RenderConfig, weights_sha256: str, digest: Callable[[str], str]
) -> str:
    """Hash of the inputs' content, of every setting that shows in the video, weights and version.

    `ours` is the configuration of the row. The number of workers is no part of the hash; the kind
    of device and the threads of a worker are, since sums are cut by them. Raises MissingFileError.
    """
    deciding = {
        "version": sonic_ops.__version__,
        "numerics": NUMERICS,
        "weights": weights_sha256,
        "dtype": [ours.models.dtype, ours.models.vae_dtype, ours.models.flow_dtype],
        "device": ours.models.device.partition(":")[0],
        "threads": ours.cluster.threads_per_worker,
        "audio": digest(row.audio),
        **_stems(row, ours, digest),
        **_shown(row, ours, digest),
        "range": [row.start or 0.0, row.end],
        "face_box": row.face_box,
        "face": row.face,
        "format": format_of(row.output).muxer,
        "language": row.language,
        "mark": [ours.provenance.mark, ours.provenance.key is not None, ours.provenance.label],
        "subtitles": None if row.subtitles is None else digest(row.subtitles),
        "seed": ours.seed,
        "settings": ours.model_dump(
            mode="json",
            include={"portrait", *ours.deciding},
            exclude={"portrait": {"max_megapixels"}},
        ),
    }
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()


def _stems(row: Row, config: RenderConfig, digest: Callable[[str], str]) -> dict[str, object]:
    """Return what moves the mouth, if `audio` as it is does not, and what is heard beside it."""
    found: dict[str, object] = {}
    if row.voice is not None:
        found["voice"] = digest(row.voice)
    elif config.audio.isolate_voice:
        found["voice"] = "isolated"
    if row.background is not None:
        found["background"] = [digest(row.background), config.audio.background_gain]
    return found


def _shown(row: Row, config: RenderConfig, digest: Callable[[str], str]) -> dict[str, object]:
    """Return what shows the face; a film, and how it is dubbed."""
    if row.video is None:
        return {"portrait": digest(row.shown)}
    film = {"numerics": FILM_NUMERICS, **config.film.model_dump(mode="json")}
    return {"video": digest(row.video), "film": film, **_speakers(row, digest)}


def _speakers(row: Row, digest: Callable[[str], str]) -> dict[str, object]:
    """Return who speaks when; nothing without a table."""
    if row.speakers is None:
        return {}
    from flows.rows.speakers import read_speakers  # late: few rows have one

    voices = [digest(who.voice) for who in read_speakers(row.speakers) if who.voice]
    return {"speakers": [digest(row.speakers), *voices]}


def weights_digest(folder: Path) -> str:
    """Hash the names and contents of the files that decide what the networks compute.

    Those of the base of a folder count too.
    """
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix in {".safetensors", ".json"} and path.name != INDEX
    )
    base = weights_base(folder)
    digest = hashlib.sha256(weights_digest(base).encode() if base else b"")
    for path in files:
        digest.update(f"{path.relative_to(folder).as_posix()} {_digest(path)}\n".encode())
    return digest.hexdigest()


def _digest(path: Path) -> str:
    status = path.stat()
    folder = cache_folder("digests") if status.st_size >= LARGE_BYTES else None
    if folder is None:
        return urls.sha256_of(str(path))
    key = hashlib.sha256(f"{path.resolve()} {status.st_size} {status.st_mtime_ns}".encode())
    note = folder / key.hexdigest()
    if not note.exists():
        with draft_of(note) as draft:
            draft.write_text(urls.sha256_of(str(path)))
    return note.read_text()
