"""Cache the analyses of videos beside their outputs, for later reports."""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from flows import urls
from flows.rows.columns import TRUTH
from flows.state.receipts import work_root
from flows.state.results import FINISHED, RowResult
from sonic_ops.core.config import PortraitConfig
from sonic_ops.core.errors import FieldError, InputError
from sonic_ops.core.files import fetched, written
from sonic_ops.core.formats import format_of
from sonic_ops.picture.portrait import load_portrait
from sonic_ops.quality.analysis import Curves, VideoAnalysis, analyse_video
from sonic_ops.quality.defects import Defects
from sonic_ops.quality.dubs import Shot
from sonic_ops.quality.measures import Interval, Measures
from sonic_ops.quality.seams import KeyChange
from sonic_ops.quality.syncing import with_syncnet
from sonic_ops.quality.syncnet import SyncNetScorer, load_scorer

VERSION: Final = 5
"""Raised when what is kept, or how it is measured, changes."""
FOLDER: Final = "analysis"

_IMAGES: Final = ("thumb", "poster", "sheet")
_PORTRAIT_SIDE: Final = 1024


def cache_path(output: str) -> str:
    """Return the file that caches the analysis of an output."""
    return urls.join(work_root(output), FOLDER, f"{urls.name_of(output)}.json")


def can_be_analysed(result: RowResult) -> bool:
    """Check that the row has a video; animations are not measured."""
    if result.status not in FINISHED or not result.output:
        return False
    try:
        return not format_of(result.output).is_animation
    except FieldError:
        return False


def truth_of(result: RowResult, extras: Mapping[str, object], folder: str) -> RowResult | None:
    """Return a row whose video is the ground truth that a row names.

    A relative path counts from `folder`, the one of the results.
    """
    truth = extras.get(TRUTH)
    if not isinstance(truth, str) or not truth.strip():
        return None
    # A row's portrait is what its truth is measured against.
    return replace(
        result,
        output=urls.resolve(truth.strip(), folder),
        fingerprint=f"truth for {result.portrait}",
    )


def open_scorer(weights: str) -> SyncNetScorer:
    """Load SyncNet, on the GPU if there is one. Raises ConfigError."""
    with fetched(weights) as path:
        return load_scorer(path, "cuda" if torch.cuda.is_available() else "cpu")


def is_complete(analysis: VideoAnalysis, scorer: SyncNetScorer | None) -> bool:
    """Check that an analysis includes SyncNet's figures, if a scorer is given."""
    return scorer is None or analysis.syncnet == scorer.digest


def cached_analysis(result: RowResult) -> VideoAnalysis | None:
    """Return the cached analysis of a row's video, unless the file has changed since."""
    assert result.output is not None
    content = urls.read_json(cache_path(result.output))
    if not isinstance(content, dict) or content.get("of") != _stamp(result):
        return None
    try:
        return _analysis_from(content["analysis"])
    except (KeyError, TypeError, ValueError):
        return None


def analyse(
    result: RowResult, known: VideoAnalysis | None = None, scorer: SyncNetScorer | None = None
) -> VideoAnalysis:
    """Analyse the video of a row; what is `known` already is not measured again.

    Raises SonicError if the video cannot be decoded, and OSError if it cannot be read.
    """
    assert result.output is not None
    with fetched(result.output) as video:
        analysis = known or analyse_video(video, _portrait(result))
        return analysis if scorer is None else with_syncnet(analysis, video, scorer)


def store_analysis(result: RowResult, analysis: VideoAnalysis) -> None:
    """Store an analysis beside its video. Raises OSError."""
    assert result.output is not None
    with written(cache_path(result.output)) as path:
        path.write_text(analysis_as_json(result, analysis))


def analysis_as_json(result: RowResult, analysis: VideoAnalysis) -> str:
    """Serialise an analysis, with the identity of the file it describes."""
    return json.dumps({"of": _stamp(result), "analysis": _as_json(analysis)})


def _portrait(result: RowResult) -> NDArray[np.uint8] | None:
    """Load the portrait of a row, scaled down; None if it is gone."""
    if not result.portrait:
        return None
    try:
        image = load_portrait(result.portrait, PortraitConfig(), None).image
    except InputError:
        return None
    image.thumbnail((_PORTRAIT_SIDE, _PORTRAIT_SIDE), Image.Resampling.BICUBIC)
    return np.asarray(image)


def _stamp(result: RowResult) -> dict[str, object]:
    assert result.output is not None
    size = urls.size_bytes(result.output)
    return {"version": VERSION, "fingerprint": result.fingerprint, "size_bytes": size}


def _as_json(analysis: VideoAnalysis) -> dict[str, Any]:
    images = {name: base64.b64encode(getattr(analysis, name)).decode() for name in _IMAGES}
    return asdict(analysis) | images


def _analysis_from(content: Mapping[str, Any]) -> VideoAnalysis:
    curves = {name: tuple(values) for name, values in content["curves"].items()}
    parts = (
        Interval(part["start_s"], part["stop_s"], Measures(**part["measures"]))
        for part in content["parts"]
    )
    known = {
        **{name: Measures(**content[name]) for name in ("measures", "still", "shuffled")},
        "keys": tuple(
            KeyChange(key["frame"], key["at"], tuple(key["beside"])) for key in content["keys"]
        ),
        "defects": Defects(**content["defects"]),
        "parts": tuple(parts),
        "shots": tuple(_shot_from(shot) for shot in content.get("shots", ())),
        "curves": Curves(**curves),
    }
    images = {name: base64.b64decode(content[name]) for name in _IMAGES}
    return VideoAnalysis(**{**content, **known, **images})


def _shot_from(shot: Mapping[str, Any]) -> Shot:
    kept = ((reason, seconds) for reason, seconds in shot["kept"])
    return Shot(**{**shot, "kept": tuple(kept)})
