"""What the doctor finds, and what it tells to do."""

import io
import sys
import time
from pathlib import Path

import pytest
import torch
from rich.console import Console

from flows.commands import doctor
from flows.commands.doctor import examine, findings
from flows.console.terminal import Terminal
from flows.rows.config import RenderConfig, load_preset
from sonic_ops.core.errors import ConfigError
from tests.flows.conftest import unreadable


@pytest.fixture
def sketch() -> RenderConfig:
    return load_preset("sketch")


def test_this_machine_is_well_and_it_takes_little(sketch: RenderConfig) -> None:
    started_s = time.process_time()
    found = {finding.name: finding for finding in findings(sketch, "sketch")}
    assert time.process_time() - started_s < 5  # of the ten seconds that it may take
    for name in ("Python", "ray", "prefect", "torch", "codecs", "GPU", "weights of sketch"):
        assert found[name].state == "ok", found[name]
    assert sys.executable in found["Python"].said
    assert all(finding.remedy for finding in found.values() if finding.state != "ok")


def test_every_finding_is_a_line_and_quiet_says_only_what_is_wrong(sketch: RenderConfig) -> None:
    text = io.StringIO()
    assert examine("sketch", Terminal(Console(file=text, width=80), "lines"))
    assert len(text.getvalue().splitlines()) == len(list(findings(sketch, "sketch")))
    quiet = io.StringIO()
    examine("sketch", Terminal(Console(file=quiet), "quiet"))
    assert not quiet.getvalue()


def test_a_preset_for_a_gpu_is_ill_without_one(sketch: RenderConfig, tmp_path: Path) -> None:
    models = sketch.models.model_copy(update={"device": "cuda", "weights": str(tmp_path)})
    config = sketch.model_copy(update={"models": models})
    weights = doctor.weights("mine", config, needed=True)
    assert (weights.state, "no weights" in weights.said) == ("wrong", True)
    assert doctor.weights("mine", config, needed=False).state == "warning"


def test_a_gpu_that_torch_cannot_use_is_wrong(
    sketch: RenderConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho 'NVIDIA H200, 143771 MiB'\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert doctor.gpu(sketch).state == "ok"
    models = sketch.models.model_copy(update={"device": "cuda"})
    found = doctor.gpu(sketch.model_copy(update={"models": models}))
    assert found.state == "wrong"
    assert "H200" in found.said
    assert "CUDA build of torch" in found.remedy


def test_weights_that_lack_a_network_are_named(sketch: RenderConfig, tmp_path: Path) -> None:
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "config.json").write_text("{}")
    models = sketch.models.model_copy(update={"weights": str(tmp_path)})
    found = doctor.weights("mine", sketch.model_copy(update={"models": models}), needed=True)
    assert found.state == "wrong"
    assert "lacks unet, vae" in found.said


def test_a_folder_that_cannot_be_written_is_wrong(tmp_path: Path) -> None:
    assert doctor.writable("folder", str(tmp_path)).state == "ok"
    found = doctor.writable("folder", str(unreadable(tmp_path / "loop") / "out"))
    assert found.state == "wrong"
    assert found.remedy


def test_a_server_that_does_not_answer_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    found = doctor.prefect_server()
    assert found.state == "wrong"
    assert "unset PREFECT_API_URL" in found.remedy
    monkeypatch.delenv("PREFECT_API_URL")
    assert doctor.prefect_server().state == "ok"


def test_it_can_be_asked_for_a_calibration_that_is_yet_to_be_made(
    sketch: RenderConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SONIC_CALIBRATION", str(tmp_path / "new.json"))
    found = {finding.name: finding for finding in findings(sketch, "sketch")}
    assert found["calibration"].state == "warning"
    assert "--calibrate" in found["calibration"].remedy
    assert found["memory"].state == "ok"


def test_without_weights_the_other_findings_are_said(tmp_path: Path) -> None:
    models = {"models": {"weights": str(tmp_path)}}
    found = {f.name: f for f in findings(RenderConfig.model_validate(models), "mine")}
    assert found["weights of mine"].state == "wrong"
    assert found["calibration"].state == "warning"


def test_a_preset_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no preset"):
        examine("baroque", Terminal(Console(file=io.StringIO()), "lines"))
