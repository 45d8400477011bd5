"""The training loop of every stage: time-boxed, seeded, resumable, on any number of processes.

A step depends on (seed, process, step number) alone, so a run that was cut off and resumed takes
the same steps as one that was not. Gradients of the processes are averaged.
"""

import csv
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn

from training.fit.curve import draw_curve

Loss = Callable[[torch.Generator], Tensor]
"""The loss of one batch, drawn with the generator."""

_CHECKPOINT: Final = "state.pt"
_CURVE: Final = "curve.csv"


@dataclass(frozen=True, slots=True)
class Budget:
    """How long a stage trains: until the seconds or the steps are used up, whichever is given."""

    seconds: float = float("inf")
    steps: float = float("inf")

    def share_used(self, elapsed_s: float, step: int) -> float:
        """0 at the start, 1 at the end, and at once where there is no budget."""
        return max(_share(elapsed_s, self.seconds), _share(step, self.steps))


def _share(used: float, of: float) -> float:
    return used / of if of > 0 else 1.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """Learning rate: a short rise, a plateau, a linear fall over the last half; and averaging."""

    rate: float = 1.5e-3
    warmup_steps: int = 60
    weight_decay: float = 1e-3
    average: float = 0.998
    save_every_s: float = 60.0
    log_every_steps: int = 25

    def rate_at(self, step: int, share: float) -> float:
        """Return the learning rate of a step when `share` of the budget is used."""
        fall = min(1.0, 2 * (1 - share)) * 0.98 + 0.02
        return self.rate * min(1.0, (step + 1) / self.warmup_steps) * fall


@dataclass(frozen=True, slots=True)
class Group:
    """Parameters that learn at `gain` times the rate."""

    parameters: dict[str, nn.Parameter]
    gain: float = 1.0


class Trainer:
    """Trains named parameters; `average` follows them and is what a stage hands on."""

    def __init__(
        self, groups: Iterable[Group], folder: Path, schedule: Schedule, *, seed: int
    ) -> None:
        self.groups = tuple(groups)
        self.folder = folder
        self.schedule = schedule
        self.seed = seed
        self.parameters = {k: p for group in self.groups for k, p in group.parameters.items()}
        self.average = {k: p.detach().clone() for k, p in self.parameters.items()}
        self.device = next(iter(self.parameters.values())).device
        self.optimizer = torch.optim.AdamW(
            [{"params": [*group.parameters.values()], "gain": group.gain} for group in self.groups],
            lr=schedule.rate,
            betas=(0.9, 0.98),
            weight_decay=schedule.weight_decay,
            fused=True,
        )
        self.step = 0
        self.elapsed_s = 0.0
        self._resume()

    def run(self, loss: Loss, budget: Budget, *, part: Budget | None = None) -> None:
        """Train until the budget is used (or `part` of it, with the rates of the whole)."""
        stop = part or budget
        started, saved = time.monotonic() - self.elapsed_s, time.monotonic()
        losses: list[float] = []
        while True:
            self.elapsed_s = _agree(time.monotonic() - started)
            if stop.share_used(self.elapsed_s, self.step) >= 1:
                break
            losses.append(self._take_step(loss, budget.share_used(self.elapsed_s, self.step)))
            if self.step % self.schedule.log_every_steps == 0:
                self._log(sum(losses) / len(losses))
                losses = []
            if time.monotonic() - saved > self.schedule.save_every_s:
                self.save()
                saved = time.monotonic()
        self.save()

    def save(self) -> None:
        """Write parameters, averages and the optimizer, by the first process."""
        if rank() != 0:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f"{_CHECKPOINT}.draft"
        torch.save(self._state(), draft)
        draft.rename(self.folder / _CHECKPOINT)

    def _state(self) -> dict[str, Any]:
        return {
            "parameters": {k: p.detach() for k, p in self.parameters.items()},
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "elapsed_s": self.elapsed_s,
        }

    def _resume(self) -> None:
        path = self.folder / _CHECKPOINT
        if not path.exists():
            return
        state = torch.load(path, weights_only=True, map_location=self.device)
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(state["parameters"][name])
        self.average = state["average"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.elapsed_s = state["step"], state["elapsed_s"]

    def _take_step(self, loss: Loss, share: float) -> float:
        rate = self.schedule.rate_at(self.step, share)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["gain"]
        # Consecutive numbers seed a Mersenne twister poorly only in its first draws of equal kind.
        number = (self.seed * 1_000_003 + self.step) * 64 + rank()
        value = loss(torch.Generator(self.device).manual_seed(number))
        self.optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        _average_gradients(self.parameters.values())
        nn.utils.clip_grad_norm_(self.parameters.values(), 1.0)
        self.optimizer.step()
        self.step += 1
        keep = min(self.schedule.average, self.step / (self.step + 15))
        with torch.no_grad():
            torch._foreach_lerp_(
                [*self.average.values()], [p.detach() for p in self.parameters.values()], 1 - keep
            )
        return float(value.detach())

    def _log(self, loss: float) -> None:
        if rank() != 0:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / _CURVE).open("a", newline="") as file:
            csv.writer(file).writerow([self.step, round(self.elapsed_s, 1), round(loss, 5)])
        draw_curve(self.folder / _CURVE)


def load_average(module: nn.Module, folder: Path) -> bool:
    """Fill a module with the averaged parameters of a stage; False if it was never saved."""
    path = folder / _CHECKPOINT
    if not path.exists():
        return False
    average = torch.load(path, weights_only=True, map_location="cpu")["average"]
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name in average:
                parameter.copy_(average[name])
    return True


def rank() -> int:
    """Return the number of this process among those that train together."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def _agree(seconds: float) -> float:
    """Return the clock of the first process, so that all processes stop at the same step."""
    if not dist.is_initialized():
        return seconds
    clock = torch.tensor([seconds], dtype=torch.float64)
    dist.broadcast(clock, 0)
    return float(clock)


def _average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    if not dist.is_initialized():
        return
    trained = list(parameters)
    parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
    flat = torch.cat([part.flatten() for part in parts])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for p, part in zip(trained, flat.split([p.numel() for p in trained]), strict=True):
        # In the memory format of the parameter: the fused optimizer goes through both as they lie.
        p.grad = torch.empty_like(p).copy_(part.view_as(p))


def train_together(
    function: Callable[..., None], arguments: tuple[Any, ...], *, num_processes: int, folder: Path
) -> None:
    """Run `function(*arguments)` in processes of one thread each that average their gradients.

    A single one is this process: nothing is started, and a GPU stays ready.
    """
    if num_processes == 1:
        function(*arguments)
        return
    folder.mkdir(parents=True, exist_ok=True)
    meeting = folder.resolve() / f"meeting-{time.time_ns()}"
    spawn(  # type: ignore[no-untyped-call]
        _join, (function, arguments, num_processes, str(meeting)), nprocs=num_processes
    )
    meeting.unlink(missing_ok=True)


def _join(
    number: int,
    function: Callable[..., None],
    arguments: tuple[Any, ...],
    num_processes: int,
    meeting: str,
) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=number, world_size=num_processes
    )
    function(*arguments)
    dist.destroy_process_group()
