"""Facts of plans for machines that nobody has measured."""

import io
import json
import math
from pathlib import Path

import pytest
import torch
from rich.console import Console

from flows.commands.plan import plan
from flows.console.terminal import open_terminal
from flows.console.units import clock, hours
from flows.pipeline.run import RunRequest
from flows.planning.cards import CARDS, card_of
from flows.planning.forecast import CPU_SHARE, CPU_SHARE_16, SPREAD, forecast, matrix_rate
from flows.planning.imagined import Imagined
from flows.rows.config import load_preset
from sonic_ops.core.errors import ConfigError
from sonic_ops.models.operations import count_costs
from sonic_ops.released.check import check_weights
from sonic_ops.released.convert import convert
from tests.flows.conftest import Cells, WriteManifest
from tests.released import TINY, write_released

INVENTORY = Path(__file__).parents[2] / "golden" / "inventory"
DAY_S = 86_400.0
CPU_S = {"lite": 3.0, "lite-hd": 3.6, "sketch": 2.2, "sketch-fast": 1.5}
"""CPU seconds per second of video, as the README says, where networks are in float32."""
PLAIN = ("models.dtype=float32", "models.vae_dtype=float32", "models.flow_dtype=float32")


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No weights of `sonic` are in the current folder, and no calibration is in the cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("SONIC_CALIBRATION", "")


def planned(
    preset: str,
    length: str,
    manifest: str | None = None,
    settings: tuple[str, ...] = (),
    **options: object,
) -> str:
    text = io.StringIO()
    request = RunRequest(manifest or "/none", preset, None, settings=settings)
    imagined = None if manifest else Imagined.of(1, length)
    terminal = open_terminal("lines", Console(file=text, width=200))
    assert plan(request, terminal, imagined=imagined, **options) == 0  # type: ignore[arg-type]
    return text.getvalue()


def test_operations_of_the_released_networks_are_counted_from_their_sizes() -> None:
    config = load_preset("sonic")
    found = count_costs(config, config.portrait, config.models.weights)
    token = 10 * 5 * 384 * 1024 + 1024 * 1024 + 1024 * 32 * 1024
    bucket = (50 * 384 + 1024) * 1024 + 1024 * 1024 + 1024 * 2
    assert found.frame.operations == 2 * (token + bucket)
    # A fact of 2026-11-30; torch counts convolutions and products, fused attention is ours.
    assert found.branch.operations == pytest.approx(31.8e12, rel=0.01)
    names = ("unet", "audio2token", "audio2bucket")
    shapes = [json.loads((INVENTORY / f"{name}_keys.json").read_text()) for name in names]
    stored = sum(math.prod(shape) for keys in shapes for shape in keys.values())
    assert sum(found.num_weights[name] for name in names) == stored
    # ViT-H/14 with its projection; VAE and Whisper as `sonic weights check` counts them.
    assert found.num_weights["image_encoder"] == 632_076_800
    assert found.num_weights["vae"] == pytest.approx(97.7e6, rel=0.01)
    assert found.num_weights["speech_encoder"] == pytest.approx(8.2e6, rel=0.01)


def test_memory_of_a_plan_counts_every_network_in_its_precision() -> None:
    here = ["models.device=cpu", "cluster.gpus_per_worker=0", "portrait.resolution=128"]
    half, full = (
        forecast(load_preset("sonic", [*here, f"models.dtype={dtype}"])).kept_bytes
        for dtype in ("bfloat16", "float32")
    )
    assert half == pytest.approx(1e9 + 2 * 1575.7e6 + 4 * (632 + 98 + 8 + 76) * 1e6, rel=0.01)
    assert full - half == pytest.approx(2 * 1575.7e6, rel=0.01)


def test_converted_weights_leave_out_what_is_usual_and_are_planned_all_the_same(
    tmp_path: Path,
) -> None:
    convert(write_released(tmp_path / "released", TINY), tmp_path / "sonic", lambda _: None)
    config = load_preset("sonic", [f"models.weights={tmp_path / 'sonic'}"])
    counted = count_costs(config, config.portrait, config.models.weights)
    assert counted.branch.operations > 0
    assert counted.latent_channels == 4
    stored = sum(report.num_parameters for report in check_weights(tmp_path / "sonic"))
    assert sum(counted.num_weights.values()) == stored


@pytest.mark.slow
def test_attention_costs_what_its_products_cost() -> None:
    config = load_preset("sonic")
    wide = config.model_copy(
        update={"portrait": config.portrait.model_copy(update={"resolution": 1024})}
    )
    one, four = (
        count_costs(each, each.portrait, each.models.weights).branch for each in (config, wide)
    )
    assert four.operations > 4.5 * one.operations  # pairs of pixels grow with the square
    assert four.moved == pytest.approx(4 * one.moved, rel=0.1)  # and are kept nowhere


def test_a_card_takes_as_long_as_the_authors_of_sonic_say() -> None:
    facts = planned("sonic", "10", gpu="RTX 4090", workers=1)
    (line,) = [line for line in facts.splitlines() if line.startswith("work: ")]
    minutes = 60 * float(line.split()[1])
    assert 3 / SPREAD < minutes < 3 * SPREAD
    assert minutes == pytest.approx(3.0, abs=0.3)
    assert "expect 0.5 to 2 times these times" in facts
    assert "165 TFLOP/s, 1,008 GB/s (NVIDIA Ada whitepaper, 2023)" in facts


def test_a_faster_card_is_faster_and_a_small_one_is_told(tmp_path: Path) -> None:
    config = load_preset("sonic")
    seconds = [forecast(config, CARDS[name]).costs.branch_s for name in ("t4", "a100", "h100")]
    assert seconds == sorted(seconds, reverse=True)
    assert forecast(config, CARDS["h100"]).limit_bytes == 80e9


def test_a_manifest_is_planned_for_a_card_without_weights(
    good: Cells, write_manifest: WriteManifest
) -> None:
    facts = planned("sonic", "1", write_manifest(good), gpu="h100", workers=8, price=2.5)
    assert "there are no weights here, so every row counts as not rendered yet" in facts
    assert "price: " in facts
    assert "H100 SXM" in facts


@pytest.mark.parametrize("preset", CPU_S)
def test_without_a_calibration_a_plan_is_within_a_factor_of_two(preset: str) -> None:
    config = load_preset(preset)
    worker_s = [
        float(line.split()[1]) * 3600
        for line in planned(preset, "600", settings=PLAIN, workers=1).splitlines()
        if line.startswith("work: ")
    ]
    rate = matrix_rate(config.cluster.threads_per_worker, torch.float32)
    calm_s = worker_s[0] / 600 * rate / 75e9  # as on the processor of the README's figures
    assert CPU_S[preset] / SPREAD < calm_s < CPU_S[preset] * SPREAD


def test_the_networks_of_a_guess_are_in_the_precision_of_the_preset() -> None:
    plain, short = (load_preset("lite", (f"models.dtype={d}",)) for d in ("float32", "bfloat16"))
    rates = [matrix_rate(1, dtype) for dtype in (torch.float32, torch.bfloat16)]
    faster = rates[1] * CPU_SHARE_16 / (rates[0] * CPU_SHARE)
    costs = [forecast(config).costs for config in (plain, short)]
    assert costs[0].branch_s / costs[1].branch_s == pytest.approx(faster)
    assert costs[0].piece_s == costs[1].piece_s  # Whisper is always float32


def test_what_is_no_card_and_no_length_is_told_with_a_remedy() -> None:
    with pytest.raises(ConfigError, match=r"perhaps h100 is meant"):
        card_of("h10O")
    assert card_of("NVIDIA GeForce RTX-4090") == CARDS["rtx4090"]
    with pytest.raises(ConfigError, match="no length"):
        Imagined.of(1, "soon")


def test_long_times_are_days() -> None:
    assert [clock(2 * DAY_S - 1), clock(2.5 * DAY_S)] == ["47:59:59", "2.5 days"]
    assert [hours(3600), hours(3 * DAY_S)] == ["1.0 h", "72.0 h (3.0 days)"]
