"""Ten commands on three machines share 200 rows: each is published once, whoever is killed.

The leases are real, on a disk that all commands share. Rendering a row is a pause. The clocks of
the machines differ by a quarter of `lease_s`, as 30 s are a quarter of its default.
"""

import multiprocessing
import os
import random
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from flows.state import leases
from flows.state.leases import LEASE, Leases, open_leases
from sonic_ops.core.errors import LockedError
from sonic_ops.core.files import names_in

NUM_COMMANDS, NUM_MACHINES, NUM_ROWS, NUM_KILLS = 10, 3, 200, 8
LEASE_S = 2.0
SKEW_S = LEASE_S / 4
SECONDS_PER_ROW = 0.02

Take = Callable[[Leases, str], None]


def _forked(*arguments: Any) -> None:
    """Run a command, and leave out what the process of pytest would do at its end."""
    try:
        _command(*arguments)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _command(folder: Path, machine: int, seed: int, take: Take) -> None:
    """Render what is not finished, in an order of its own, until everything is."""
    now = time.time
    time.time = lambda: now() + SKEW_S * (machine - 1)  # type: ignore[assignment]
    leases._home = lambda: f"machine {machine}"  # type: ignore[assignment]
    rows = list(range(NUM_ROWS))
    random.Random(seed).shuffle(rows)
    with open_leases(LEASE_S) as held:
        while len(_counts(folder)) < NUM_ROWS:
            for row in rows:
                _render(folder, row, held, take)
            time.sleep(0.05)


def _render(folder: Path, row: int, held: Leases, take: Take) -> None:
    if _is_published(folder, row):
        return
    target = str(folder / "leases" / f"{row}.mp4")
    try:
        take(held, target)
        try:
            # Another may have published it before it gave the lease back.
            if not _is_published(folder, row):
                time.sleep(SECONDS_PER_ROW * (0.5 + random.random()))
                held.check(target)
                (folder / "published" / f"{row}-{uuid4().hex}").touch()
        finally:
            held.release(target)
    except LockedError:
        pass


def _is_published(folder: Path, row: int) -> bool:
    return any((folder / "published").glob(f"{row}-*"))


def _counts(folder: Path) -> Counter[int]:
    names = names_in(str(folder / "published"))
    return Counter(int(name.partition("-")[0]) for name in names)


def published(folder: Path, seed: int, take: Take = Leases.take) -> Counter[int]:
    """Run the commands, kill some of them, and count how often each row was published."""
    (folder / "published").mkdir()
    chance, context = random.Random(seed), multiprocessing.get_context("fork")

    def start(number: int) -> Any:
        machine = number % NUM_MACHINES
        command = context.Process(
            target=_forked, args=(folder, machine, chance.random(), take), daemon=True
        )
        command.start()
        return command

    commands = [start(number) for number in range(NUM_COMMANDS)]
    for _ in range(NUM_KILLS):
        time.sleep(0.1 * chance.random())
        number = chance.randrange(NUM_COMMANDS)
        if commands[number].is_alive():
            os.kill(commands[number].pid, signal.SIGKILL)
            commands[number].join()
            commands[number] = start(number)
    for command in commands:
        command.join(timeout=120)
        assert command.exitcode == 0
    return _counts(folder)


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 20))]
)
def test_every_row_is_published_once(tmp_path: Path, seed: int) -> None:
    assert published(tmp_path, seed) == dict.fromkeys(range(NUM_ROWS), 1)
    left = [name for name in names_in(str(tmp_path / "leases")) if name.endswith(LEASE)]
    assert len(left) <= NUM_KILLS  # of rows that were published as their command was killed


@pytest.mark.slow
def test_without_leases_rows_are_published_twice(tmp_path: Path) -> None:
    """The test above can fail."""

    def take_no_lease(held: Leases, target: str) -> None:
        held._renewed_s[target] = time.monotonic()

    assert max(published(tmp_path, 0, take_no_lease).values()) > 1
