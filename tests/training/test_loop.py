"""The loop: a run that was cut off takes the same steps, and the curve is drawn."""

import csv
from pathlib import Path

import cv2
import pytest
import torch

from sonic_ops.core import native
from training.fit.device import native_precision
from training.fit.loop import (
    Budget,
    Group,
    Schedule,
    Trainer,
    load_average,
    rank,
    train_together,
)


def trained(folder: Path, steps: list[int]) -> dict[str, torch.Tensor]:
    """Train a small layer in as many runs as there are numbers."""
    for stop in steps:
        torch.manual_seed(0)
        layer = torch.nn.Linear(4, 3)
        schedule = Schedule(log_every_steps=4)
        trainer = Trainer([Group(dict(layer.named_parameters()))], folder, schedule, seed=7)

        def loss(generator: torch.Generator, layer: torch.nn.Linear = layer) -> torch.Tensor:
            x = torch.randn(5, 4, generator=generator)
            return (layer(x) - x[:, :3]).square().mean()

        trainer.run(loss, Budget(steps=12), part=Budget(steps=stop))
    return trainer.average


def test_a_run_that_was_cut_off_takes_the_same_steps(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole", [12])
    parts = trained(tmp_path / "parts", [5, 9, 12])
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def _train_on_one_picture(folder: Path) -> None:
    """A convolution whose weights lie channels last, which every process shows the same."""
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(4, 3, 3)
    layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
    picture = torch.randn(2, 4, 8, 8)
    trainer = Trainer([Group(dict(layer.named_parameters()))], folder, Schedule(), seed=7)
    trainer.run(lambda _: (layer(picture) - 1).square().mean(), Budget(steps=3))
    if rank() == 0:
        torch.save(trainer.parameters, folder / "learnt.pt")


def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    learnt = []
    for count in (1, 2):
        folder = tmp_path / str(count)
        train_together(_train_on_one_picture, (folder,), num_processes=count, folder=folder)
        learnt.append(torch.load(folder / "learnt.pt", weights_only=True))
    torch.testing.assert_close(learnt[1], learnt[0], rtol=0, atol=1e-6)


def test_a_stage_without_a_budget_takes_no_step() -> None:
    assert Budget(seconds=0.0).share_used(0.0, 0) == 1


def test_what_a_stage_hands_on_is_the_average(tmp_path: Path) -> None:
    average = trained(tmp_path / "stage", [12])
    layer = torch.nn.Linear(4, 3)
    assert load_average(layer, tmp_path / "stage")
    assert torch.equal(layer.weight, average["weight"])
    assert not load_average(layer, tmp_path / "never")


def test_the_curve_is_drawn_beside_its_numbers(tmp_path: Path) -> None:
    trained(tmp_path / "stage", [12])
    with (tmp_path / "stage" / "curve.csv").open(newline="") as file:
        steps = [int(row[0]) for row in csv.reader(file)]
    picture = cv2.imread(str(tmp_path / "stage" / "curve.png"))
    assert steps == [4, 8, 12]
    assert picture is not None
    # The line is blue on white: it is there, and it is thin.
    blue = (picture[..., 0].astype(int) - picture[..., 2]) > 60
    assert 100 < blue.sum() < 0.05 * blue.size


@pytest.mark.parametrize(("flags", "dtype"), [("avx2", "float32"), ("amx_bf16", "bfloat16")])
def test_training_computes_in_what_the_cpu_does_natively(
    flags: str, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = tmp_path / "cpuinfo"
    facts.write_text(f"flags\t\t: fpu {flags}\n")
    monkeypatch.setattr(native, "_CPU_FACTS", facts)
    with native_precision(torch.device("cpu")):
        assert torch.nn.Linear(4, 3)(torch.ones(2, 4)).dtype == getattr(torch, dtype)
