"""A row is in one pair of hands: leases are exclusive, expire, and are lost by who was silent."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from flows.state.leases import Leases, holder_of, open_leases
from sonic_ops.core.errors import LockedError
from sonic_ops.core.files import names_in
from tests.flows.conftest import REPOSITORY, unreadable

LONG_S = 3600.0
EXPIRED_S = 0.0


@pytest.fixture(params=["local", "remote"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    local = request.param == "local"
    return f"{tmp_path if local else f'memory://leases/{tmp_path.name}'}/leases/a.mp4"


def names_beside(target: str) -> frozenset[str]:
    return names_in(target.rpartition("/")[0])


def test_a_lease_is_for_one_until_it_is_given_back(target: str) -> None:
    first, second = Leases(LONG_S), Leases(LONG_S)
    first.take(target)
    with pytest.raises(LockedError, match=f"process {os.getpid()} on "):
        second.take(target)
    first.check(target)
    first.release(target)
    second.take(target)
    holder = holder_of(target)
    assert holder is not None
    assert holder.owner == second.owner
    second.release(target)
    assert names_beside(target) == frozenset()


def test_who_asks_again_for_a_lease_keeps_it(target: str) -> None:
    leases = Leases(LONG_S)
    leases.take(target)
    leases.take(target)  # the answer to the first was lost, for example
    leases.check(target)
    assert names_beside(target) == {"a.mp4.1.lease"}
    leases.release(target)
    assert names_beside(target) == frozenset()


def test_names_that_begin_alike_are_not_mixed_up(target: str) -> None:
    first, second = Leases(LONG_S), Leases(LONG_S)
    others = f"{target}.1", target.removesuffix(".mp4")
    first.take(target)
    for other in others:
        second.take(other)
        second.check(other)
    holder = holder_of(target)
    assert holder is not None
    assert holder.owner == first.owner
    with pytest.raises(LockedError):
        first.take(others[0])


def test_who_was_silent_for_too_long_loses_the_lease(target: str) -> None:
    silent, other = Leases(EXPIRED_S), Leases(LONG_S)
    silent.take(target)
    other.take(target)
    silent.renew()
    with pytest.raises(LockedError):
        silent.check(target)
    silent.release(target)
    other.renew()
    other.check(target)
    holder = holder_of(target)
    assert holder is not None
    assert holder.owner == other.owner


def test_a_renewed_lease_is_kept(target: str) -> None:
    first, second = Leases(LONG_S), Leases(LONG_S)
    first.take(target)
    before = holder_of(target)
    first.renew()
    after = holder_of(target)
    assert before is not None
    assert after is not None
    assert after.renewed_s > before.renewed_s
    with pytest.raises(LockedError):
        second.take(target)


def test_of_many_who_find_a_stale_lease_one_takes_it_over(target: str) -> None:
    Leases(EXPIRED_S).take(target)
    start = Barrier(8)

    def take(leases: Leases) -> bool:
        start.wait()
        try:
            leases.take(target)
        except LockedError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(take, [Leases(LONG_S) for _ in range(8)]))
    assert sum(taken) == 1


def test_the_lease_of_a_process_that_is_gone_is_free_at_once(tmp_path: Path) -> None:
    target = str(tmp_path / "a.mp4")
    program = "import sys; from flows.state.leases import Leases; Leases(3600).take(sys.argv[1])"
    arguments = [sys.executable, "-c", program, target]
    with subprocess.Popen(arguments, cwd=REPOSITORY, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read()  # it ends; as long as nobody waits for it, it is still listed
        holder = holder_of(target)
        assert holder is not None
        assert holder.pid == process.pid
        while not holder.is_stale:
            pass
    assert holder.is_stale
    Leases(LONG_S).take(target)


def test_a_damaged_lease_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.mp4.7.lease").write_text("{")
    leases = Leases(LONG_S)
    leases.take(str(tmp_path / "a.mp4"))
    leases.check(str(tmp_path / "a.mp4"))
    assert names_in(str(tmp_path)) == {"a.mp4.8.lease"}


def test_an_empty_lease_is_somebodys_who_is_just_making_it(tmp_path: Path) -> None:
    lease = tmp_path / "a.mp4.7.lease"
    lease.touch()
    leases = Leases(LONG_S)
    with pytest.raises(LockedError):
        leases.take(str(tmp_path / "a.mp4"))
    then = lease.stat().st_mtime - LONG_S - 60
    os.utime(lease, (then, then))
    leases.take(str(tmp_path / "a.mp4"))
    assert names_in(str(tmp_path)) == {"a.mp4.8.lease"}


def test_a_lease_that_cannot_be_read_is_neither_taken_over_nor_lost(tmp_path: Path) -> None:
    target, lease = str(tmp_path / "a.mp4"), tmp_path / "a.mp4.1.lease"
    owner, other = Leases(LONG_S), Leases(LONG_S)
    owner.take(target)
    content = lease.read_bytes()
    unreadable(lease)
    with pytest.raises(OSError, match="symbolic links"):
        other.take(target)
    owner.renew()
    owner.check(target)
    lease.unlink()
    lease.write_bytes(content)
    owner.renew()
    with pytest.raises(LockedError):
        other.take(target)


def test_a_thread_renews_and_the_end_of_a_run_gives_everything_back(tmp_path: Path) -> None:
    target = str(tmp_path / "a.mp4")
    with open_leases(0.2) as leases:
        leases.take(target)
        first = holder_of(target)
        while (renewed := holder_of(target)) == first:
            pass
        assert renewed is not None
        assert renewed.owner == leases.owner
    assert names_in(str(tmp_path)) == frozenset()
