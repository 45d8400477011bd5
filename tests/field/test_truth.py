"""What the program says is so: figures at a limit, resolutions, lengths of files on the disk."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from flows.planning.calibration import guess
from flows.planning.estimator import Estimator
from flows.rows.config import load_preset
from sonic_ops.core.presets import trained_resolution
from sonic_ops.quality.measures import LAG_S, _lip_sync
from sonic_ops.quality.syncnet import MAX_SHIFT, verdict
from tests.flows.conftest import REPOSITORY, SPEECH, Cells, WriteManifest, sorted_rows

FPS = 25.0
ADA = str(REPOSITORY / "examples" / "ada.png")
SLIDE = str(REPOSITORY / "examples" / "lecture" / "slide_1.png")


def moved(shift: int) -> tuple[float | None, float | None]:
    """The lips of a voice that is heard `shift` frames before they move."""
    noise_N = np.random.default_rng(7).normal(size=400)
    voice_N = np.convolve(noise_N, np.ones(5) / 5, "same")
    return _lip_sync(np.roll(voice_N, shift), voice_N, FPS)


@pytest.mark.parametrize("shift", [0, 2, -4])
def test_a_lag_inside_the_search_is_measured(shift: int) -> None:
    _, lag_ms = moved(shift)
    assert lag_ms == pytest.approx(1000 * shift / FPS, abs=4)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_lag_at_the_limit_of_the_search_is_not_measurable(sign: int) -> None:
    limit = round(LAG_S * FPS)
    for shift in (limit, limit + 1):
        sync, lag_ms = moved(sign * shift)
        assert sync is not None
        assert lag_ms is None


def test_an_offset_at_the_limit_of_syncnets_search_is_not_measurable() -> None:
    apart_NL = np.ones((200, 2 * MAX_SHIFT + 1), np.float32)
    apart_NL[:, 3] = 0.5
    assert verdict(apart_NL).offset_ms == 1000 / FPS * (MAX_SHIFT - 3)
    for limit in (0, -1):
        apart_NL = np.ones((200, 2 * MAX_SHIFT + 1), np.float32)
        apart_NL[:, limit] = 0.5
        found = verdict(apart_NL)
        assert found.offset_ms is None
        assert found.distance == 0.5


def test_a_resolution_that_the_weights_do_not_know_is_refused_with_the_right_one(
    good: Cells, write_manifest: WriteManifest
) -> None:
    config = load_preset("sketch")
    own = config.portrait.resolution
    rows = [
        good | {"id": str(side), "resolution": side, "output": f"{side}.mp4"}
        for side in (own, 64, 512)
    ]
    found = sorted_rows(write_manifest(*rows), config)
    assert [row.row.id for row in found.planned] == [str(own)]
    for bad in found.bad:
        (error,) = bad.errors
        assert error.field == "resolution"
        assert f"not trained for a resolution of {bad.id}" in str(error)
        assert f"Write {own}" in error.remedy


def test_a_resolution_of_the_preset_is_not_blamed_on_a_column(
    good: Cells, write_manifest: WriteManifest
) -> None:
    found = sorted_rows(write_manifest(good), load_preset("sketch", ["portrait.resolution=512"]))
    ((error,),) = (bad.errors for bad in found.bad)
    assert error.field is None
    assert "Set portrait.resolution to 128" in error.remedy


def test_weights_whose_index_names_no_resolution_take_any(tmp_path: Path) -> None:
    assert trained_resolution("package:sketch") == load_preset("sketch").portrait.resolution
    assert trained_resolution("package:lite") is None  # its decoder takes any
    assert trained_resolution(str(tmp_path)) is None
    for index in ("{}", "[]", "{", '{"preset": "sonic"}', '{"resolution": "x"}'):
        (tmp_path / "model_index.json").write_text(index)
        assert trained_resolution(str(tmp_path)) is None


MEASURED: dict[str, tuple[Cells, str, int, int]] = {
    "a.mp4": ({}, "mono", 405_147, 14_939_579),
    "b.mkv": ({}, "stereo", 4_061_346, 14_939_422),
    "c.mov": ({}, "stereo", 9_884_165, 20_760_835),
    "d.mp4": ({"portrait": SLIDE, "framing": "paste"}, "stereo", 1_065_765, 18_056_985),
    "e.webm": ({"scale_to": 512}, "stereo", 1_389_926, 15_521_659),
}
"""Bytes of outputs and work folders of 20 s, rendered with `sketch-fast` and `keep_work: true`."""


@pytest.mark.parametrize("output", MEASURED)
def test_a_plan_of_the_disk_is_right_within_a_factor_of_two(
    output: str, good: Cells, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    config = load_preset("sketch-fast")
    cells, audio, output_bytes, work_bytes = MEASURED[output]
    speech, rate = soundfile.read(SPEECH)
    long = np.tile(speech, 8)[: 20 * rate]
    if audio == "stereo":
        long, rate = np.repeat(np.stack([long, long], 1), 3, 0), 3 * rate
    soundfile.write(tmp_path / "long.wav", long, rate, subtype="PCM_16")
    ada: Cells = {"portrait": ADA, "audio": str(tmp_path / "long.wav"), "output": output}
    (planned,) = sorted_rows(write_manifest(good | ada | cells), config).planned
    found = Estimator(config, guess(config)).row(planned)
    assert output_bytes / 2 < found.output_bytes < 2 * output_bytes
    assert work_bytes / 2 < found.work_bytes < 2 * work_bytes
