"""Who counts as lost, and when somebody new is asked for."""

from collections.abc import Set
from itertools import count
from typing import Any

import pytest

from cluster.config import ClusterConfig
from cluster.pool.calls import Outcome
from cluster.pool.dispatcher import Call, Dispatcher, Worker
from cluster.pool.supervisor import BEATS, OVERDUE, PAUSE_S, Process, WorkerSupervisor
from sonic_ops.core.errors import ConfigError, NoWorkersError, WorkerLostError

TIMEOUT_S = 60.0
START_TIMEOUT_S = 600.0
JOB_TIMEOUT_S = 300.0
MAX_RETRIES = 2
BEAT_S = TIMEOUT_S / BEATS


class Yard:
    """Machines whose processes do what a test says, and a clock that it moves."""

    def __init__(
        self, num_wanted: int, start_timeout_s: float = START_TIMEOUT_S, **settings: Any
    ) -> None:
        self.now_s = 0.0
        self.wanted = num_wanted
        self.alive = {"here", "there"}
        self.avoided: set[str] = set()
        self.asked: list[Process] = []
        self.ended: list[Process] = []
        self.pinged: list[Process] = []
        self._pids = count(1)
        config = ClusterConfig(
            worker_timeout_s=TIMEOUT_S,
            start_timeout_s=start_timeout_s,
            job_timeout_s=JOB_TIMEOUT_S,
            **settings,
        )
        self.dispatcher = Dispatcher(self, max_retries=MAX_RETRIES)
        self.supervisor = WorkerSupervisor(self, self.dispatcher, config, clock=lambda: self.now_s)

    def start(self, avoid: Set[str]) -> Process:
        self.avoided = set(avoid)
        self.asked.append(Process(node=""))
        return self.asked[-1]

    def end(self, process: Process) -> None:
        self.ended.append(process)

    def ping(self, process: Process) -> None:
        self.pinged.append(process)

    def nodes(self) -> set[str]:
        return self.alive

    def num_wanted(self) -> int:
        return self.wanted

    def send(self, worker: Worker, call: Call) -> None:
        pass

    def fetch(self, handles: object) -> list[object]:
        return []

    def wake(self) -> None:
        pass

    def watch(self, passed_s: float) -> None:
        """Let time pass; then the crew looks after everybody."""
        self.now_s += passed_s
        self.supervisor.watch()

    def begin(self, node: str = "here", processor: str = "AVX2") -> Process:
        """The process that was asked for first begins its work."""
        process = self.asked.pop(0)
        self.supervisor.began(process, node, next(self._pids), processor)
        return process

    def beat(self, duration_s: float) -> None:
        """Let time pass while everybody answers pings."""
        for _ in range(round(duration_s / BEAT_S)):
            self.watch(BEAT_S)
            self.answer()

    def answer(self) -> None:
        """Everybody that was asked is alive."""
        while self.pinged:
            self.supervisor.answered(self.pinged.pop())


@pytest.fixture
def yard() -> Yard:
    made = Yard(num_wanted=2)
    made.watch(0.0)
    return made


def test_as_many_are_asked_for_as_are_wanted(yard: Yard) -> None:
    assert len(yard.asked) == 2
    yard.begin()
    yard.wanted = 3
    yard.watch(1.0)
    assert len(yard.asked) == 2
    yard.watch(1.0)
    assert len(yard.asked) == 2


def test_one_on_another_kind_of_processor_is_refused_and_asked_for_elsewhere(
    yard: Yard, caplog: pytest.LogCaptureFixture
) -> None:
    first, other = yard.begin("here", "AVX512"), yard.begin("there", "AVX2")
    assert list(yard.supervisor.processes) == [first]
    assert yard.ended == [other]
    assert yard.dispatcher.num_workers == 1
    assert caplog.messages == [
        "node there is not used: it computes on AVX2, and the first worker on AVX512, so the same "
        "command could give other bits. Set `cluster.mixed_processors: true` to use both"
    ]
    yard.watch(1.0)
    assert yard.avoided == {"there"}
    same = yard.begin("elsewhere", "AVX512")
    assert list(yard.supervisor.processes) == [first, same]


def test_nobody_left_of_the_first_kind_names_the_nodes_that_were_refused(yard: Yard) -> None:
    first, _ = yard.begin("here", "AVX512"), yard.begin("there", "AVX2")
    yard.supervisor.lose(first, "died")
    yard.watch(START_TIMEOUT_S / 2)
    yard.watch(START_TIMEOUT_S)
    with pytest.raises(NoWorkersError, match="1 nodes with other processors were not used"):
        yard.dispatcher.get(yard.dispatcher.submit("anything"))


def test_different_processors_that_are_allowed_are_warned_about_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    yard = Yard(num_wanted=4, mixed_processors=True)
    yard.watch(0.0)
    for processor in ("AVX512", "AVX512"):
        yard.begin(processor=processor)
    assert not caplog.messages
    for processor in ("AVX2", "AVX2"):
        yard.begin(processor=processor)
    (said,) = caplog.messages
    assert "different processors (AVX512 and AVX2)" in said
    assert len(yard.supervisor.processes) == 4


def test_one_that_answers_is_kept_however_long_its_job_takes(yard: Yard) -> None:
    process = yard.begin()
    for _ in range(10 * BEATS):
        yard.watch(BEAT_S)
        yard.answer()
    assert yard.supervisor.processes == (process,)


def test_one_that_is_silent_for_too_long_is_ended_and_replaced(yard: Yard) -> None:
    silent, good = yard.begin(), yard.begin("there")
    for _ in range(BEATS + 1):
        assert yard.supervisor.processes == (silent, good)
        yard.watch(BEAT_S)
        yard.pinged.remove(good)
        yard.supervisor.answered(good)
    assert yard.supervisor.processes == (good,)
    assert yard.ended == [silent]
    assert len(yard.asked) == 1
    assert yard.dispatcher.num_workers == 1


def hung(yard: Yard, mean_s: float | None = None) -> Process:
    """Let a worker run a job that never ends, after one of its method that has ended."""
    process = yard.begin()
    if mean_s is not None:
        yard.dispatcher.submit("denoise", persistent=True)
        yard.dispatcher.pump()
        assert process.job
        yard.dispatcher.done(process, process.job, (None,), Outcome(worker_s=mean_s))
    yard.dispatcher.submit("denoise", affinity=(0, 7), persistent=True)
    yard.dispatcher.pump()
    return process


@pytest.mark.parametrize(
    ("mean_s", "limit_s"),
    [(None, JOB_TIMEOUT_S), (0.1, TIMEOUT_S), (6.0, OVERDUE * 6.0)],
)
def test_one_that_answers_while_its_job_hangs_is_lost_and_another_gets_the_job(
    yard: Yard, mean_s: float | None, limit_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    process = hung(yard, mean_s)
    yard.beat(limit_s)
    assert list(yard.supervisor.processes) == [process]
    yard.beat(BEAT_S)
    assert not yard.supervisor.processes
    assert yard.ended == [process]
    (said,) = caplog.messages
    assert f"denoise of segment 7 did not end within {limit_s:.0f} s" in said
    other = yard.begin()
    yard.dispatcher.pump()
    assert other.job
    assert other.job.affinity == (0, 7)


def test_a_job_that_always_hangs_gets_more_time_then_is_given_up_with_the_reason(
    yard: Yard,
) -> None:
    job = hung(yard, 0.1).job
    assert job
    for attempt in range(MAX_RETRIES + 1):
        if attempt:
            yard.begin()
            yard.dispatcher.pump()
        yard.beat(2**attempt * TIMEOUT_S)
        assert len(yard.supervisor.processes) == 1
        yard.beat(BEAT_S)
        assert not yard.supervisor.processes
    assert isinstance(job.error, WorkerLostError)
    assert "its worker 3 times; the last time, denoise of segment 7 did not" in job.error.message
    assert "a store that does not answer" in job.error.remedy


def test_no_job_is_blamed_for_the_one_before_it(yard: Yard) -> None:
    process = yard.begin()
    for _ in range(10):
        yard.dispatcher.submit("denoise", persistent=True)
        yard.dispatcher.pump()
        yard.beat(TIMEOUT_S)
        assert process.job
        yard.dispatcher.done(process, process.job, (None,), Outcome(worker_s=0.1))
    assert yard.supervisor.processes == (process,)


def test_nobody_is_blamed_for_a_time_when_we_were_stopped_ourselves(yard: Yard) -> None:
    process = yard.begin()
    yard.watch(BEAT_S)
    yard.watch(100 * TIMEOUT_S)
    assert yard.supervisor.processes == (process,)


def test_those_of_a_machine_that_is_gone_are_lost(yard: Yard) -> None:
    _, kept = yard.begin("here"), yard.begin("there")
    yard.alive = {"there"}
    yard.watch(1.0)
    assert yard.supervisor.processes == (kept,)
    assert len(yard.asked) == 1


def test_if_the_first_cannot_begin_its_error_is_raised(yard: Yard) -> None:
    yard.supervisor.could_not_begin(
        yard.asked.pop(), ConfigError("wrong weights", remedy="Mend them.")
    )
    with pytest.raises(ConfigError, match="wrong weights"):
        yard.supervisor.wait_for_first()


def test_a_first_one_that_is_lost_while_it_starts_is_replaced(yard: Yard) -> None:
    lost = WorkerLostError("its machine was taken away", remedy="Start again.")
    yard.supervisor.could_not_begin(yard.asked.pop(), lost)
    yard.watch(PAUSE_S)
    yard.begin()
    yard.supervisor.wait_for_first()
    assert len(yard.supervisor.processes) == 1


def test_if_none_ever_begins_the_last_error_is_said() -> None:
    yard = Yard(num_wanted=1, start_timeout_s=0.01)
    yard.watch(0.0)
    yard.supervisor.could_not_begin(yard.asked.pop(), WorkerLostError("taken away", remedy="Wait."))
    with pytest.raises(ConfigError, match=r"within 0\.01 s; the last one: taken away"):
        yard.supervisor.wait_for_first()


def test_after_one_that_cannot_begin_there_is_a_pause(yard: Yard) -> None:
    yard.begin()
    yard.supervisor.could_not_begin(
        yard.asked.pop(), ConfigError("wrong weights", remedy="Mend them.")
    )
    yard.supervisor.wait_for_first()
    yard.watch(PAUSE_S / 2)
    assert not yard.asked
    yard.watch(PAUSE_S / 2)
    assert len(yard.asked) == 1


def test_if_nobody_comes_back_for_too_long_all_jobs_end(yard: Yard) -> None:
    yard.supervisor.lose(yard.begin(), "died")
    job = yard.dispatcher.submit("anything", persistent=True)
    yard.watch(START_TIMEOUT_S / 2)
    yard.watch(START_TIMEOUT_S)
    with pytest.raises(NoWorkersError, match="no worker for 600 s"):
        yard.dispatcher.get(job)
