"""What videos look like, kept beside their outputs, so that a second report has nothing to do."""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from flows import addresses
from flows.state.receipts import work_root
from flows.state.results import FINISHED, RowResult
from sonic_ops.core.config import PortraitConfig
from sonic_ops.core.errors import FieldError, InputError
from sonic_ops.core.files import fetched, written
from sonic_ops.core.formats import format_of
from sonic_ops.picture.portrait import load_portrait
from sonic_ops.quality.looking import Curves, Look, look_at
from sonic_ops.quality.measures import Measures, Part
from sonic_ops.quality.seams import KeyChange
from sonic_ops.quality.syncing import with_syncnet
from sonic_ops.quality.syncnet import Judge, load_judge

VERSION: Final = 3
"""Raised when what is kept, or how it is measured, changes."""
FOLDER: Final = "looks"
TRUTH: Final = "truth"
"""The column of a manifest that names a real video of the same speech."""

_PICTURES: Final = ("thumb", "poster", "sheet")
_PORTRAIT_SIDE: Final = 1024


def look_address(output: str) -> str:
    """Where what an output looks like is kept."""
    return addresses.join(work_root(output), FOLDER, f"{addresses.name_of(output)}.json")


def can_be_watched(result: RowResult) -> bool:
    """Whether there is a video of the row; pictures that move are not measured."""
    if result.status not in FINISHED or not result.output:
        return False
    try:
        return not format_of(result.output).is_animation
    except FieldError:
        return False


def truth_of(result: RowResult, extras: Mapping[str, object], folder: str) -> RowResult | None:
    """A row whose video is the ground truth that a row names; a relative one counts from `folder`,
    that of the results."""
    truth = extras.get(TRUTH)
    if not isinstance(truth, str) or not truth.strip():
        return None
    # A row's portrait is what its truth is measured against.
    return replace(
        result,
        output=addresses.resolve(truth.strip(), folder),
        fingerprint=f"truth for {result.portrait}",
    )


def open_judge(weights: str) -> Judge:
    """SyncNet with the weights at an address, on the GPU if there is one. Raises ConfigError."""
    with fetched(weights) as path:
        return load_judge(path, "cuda" if torch.cuda.is_available() else "cpu")


def is_complete(look: Look, judge: Judge | None) -> bool:
    """Whether a look has all that is asked for: one with SyncNet's figures has those without."""
    return judge is None or look.syncnet == judge.digest


def kept_look(result: RowResult) -> Look | None:
    """What is known of the video of a row, if the file is still the one that was looked at."""
    assert result.output is not None
    content = addresses.read_json(look_address(result.output))
    if not isinstance(content, dict) or content.get("of") != _stamp(result):
        return None
    try:
        return _look_from(content["look"])
    except (KeyError, TypeError, ValueError):
        return None


def new_look(result: RowResult, known: Look | None = None, judge: Judge | None = None) -> Look:
    """Go through the video of a row; what is `known` of it is not measured again.

    Raises SonicError if the video cannot be decoded, and OSError if it cannot be read.
    """
    assert result.output is not None
    with fetched(result.output) as video:
        look = known or look_at(video, _portrait(result))
        return look if judge is None else with_syncnet(look, video, judge)


def keep_look(result: RowResult, look: Look) -> None:
    """Keep a look beside its video. Raises OSError."""
    assert result.output is not None
    with written(look_address(result.output)) as path:
        path.write_text(look_in_text(result, look))


def look_in_text(result: RowResult, look: Look) -> str:
    """What is kept: the look, and the file that it is of."""
    return json.dumps({"of": _stamp(result), "look": _as_json(look)})


def _portrait(result: RowResult) -> NDArray[np.uint8] | None:
    """The portrait of a row, not larger than is of use; None where it is not at hand any more."""
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
    size = addresses.size_bytes(result.output)
    return {"version": VERSION, "fingerprint": result.fingerprint, "size_bytes": size}


def _as_json(look: Look) -> dict[str, Any]:
    pictures = {name: base64.b64encode(getattr(look, name)).decode() for name in _PICTURES}
    return asdict(look) | pictures


def _look_from(content: Mapping[str, Any]) -> Look:
    curves = {name: tuple(values) for name, values in content["curves"].items()}
    parts = (
        Part(part["start_s"], part["stop_s"], Measures(**part["measures"]))
        for part in content["parts"]
    )
    known = {
        **{name: Measures(**content[name]) for name in ("measures", "still", "shuffled")},
        "keys": tuple(
            KeyChange(key["frame"], key["at"], tuple(key["beside"])) for key in content["keys"]
        ),
        "parts": tuple(parts),
        "curves": Curves(**curves),
    }
    pictures = {name: base64.b64decode(content[name]) for name in _PICTURES}
    return Look(**{**content, **known, **pictures})
