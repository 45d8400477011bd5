"""Every golden case of the released model, and what the harness says of a folder."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from tests.parity.__main__ import main, outcomes
from tests.parity.harness import Cases
from tests.parity.unet_cases import cases as unet_cases

GOLDEN = Path(__file__).parents[1] / "golden" / "parity"


LONG_LOOPS = ("multiple", "overlap2", "shift0", "window25")


@pytest.mark.parametrize("is_long", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_every_golden_case_is_met(tmp_path: Path, is_long: bool) -> None:
    golden = shutil.copytree(GOLDEN, tmp_path / "golden")
    loops = json.loads((golden / "loop.json").read_text())
    chosen = [loop for loop in loops if (loop["name"] in LONG_LOOPS) == is_long]
    assert len(chosen) >= len(LONG_LOOPS)
    (golden / "loop.json").write_text(json.dumps(chosen))
    found = list(outcomes(golden))
    assert {"unet", "final_latents", "audio tokens", "window starts"} <= {o.quantity for o in found}
    assert [outcome for outcome in found if not outcome.passed] == []


def test_weights_that_are_not_there_come_from_the_recipe(tmp_path: Path) -> None:
    for name in ("configs.json", "unet_forward.json", "unet_forward.safetensors"):
        shutil.copy(GOLDEN / name, tmp_path)
    found = list(unet_cases(Cases(tmp_path)))
    assert found
    assert all(outcome.passed for outcome in found)


def test_a_wrong_value_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("configs.json", "audio_heads.json"):
        shutil.copy(GOLDEN / name, tmp_path)
    golden = load_file(GOLDEN / "audio_heads.safetensors")
    golden["audio2token.out"] += 1e-3
    save_file(golden, tmp_path / "audio_heads.safetensors")
    assert main([str(tmp_path)]) == 1
    assert "FAIL" in capsys.readouterr().out


def test_a_folder_without_cases_is_no_success(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 1
