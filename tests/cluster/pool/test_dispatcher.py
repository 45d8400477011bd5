"""Which job runs where, and what is done again when a worker or a machine is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.pool.dispatcher import LOCALITY_WAIT_S, Worker
from cluster.pool.lineage import Ref
from sonic_ops.core.errors import OutOfMemoryError, RenderError, WorkerLostError
from tests.cluster.hands import Hands


def test_jobs_take_the_results_of_jobs() -> None:
    hands = Hands("a", "b")
    first, second = hands.dispatcher.submit("both", 3, num_returns=2)
    total = hands.submit("add", first, hands.submit("add", second, 10), persistent=True)
    hands.run()
    assert hands.value(total) == 10
    assert hands.dispatcher.pop_costs(0).jobs == 3


def test_a_worker_has_one_job_at_a_time() -> None:
    hands = Hands("a")
    for segment in range(3):
        hands.submit("number", segment, affinity=(0, segment))
    assert hands.pump() == {hands.workers[0]: ("number", (0, 0))}


def test_the_jobs_of_a_segment_stay_with_its_worker() -> None:
    hands = Hands("a", "a")
    for _ in range(5):
        for segment in range(2):
            hands.submit("number", segment, affinity=(0, segment))
        sent = hands.pump()
        assert [sent[worker][1] for worker in hands.workers] == [(0, 0), (0, 1)]
        for worker in reversed(hands.workers):
            hands.finish(worker)


def test_who_has_nothing_to_do_takes_what_has_waited_and_keeps_the_segment() -> None:
    hands = Hands("a", "a")
    busy, idle = hands.workers
    hands.submit("number", 1, affinity=(0, 1))
    hands.pump()
    hands.finish(busy)
    for _ in range(2):
        hands.submit("number", 1, affinity=(0, 1))
    assert set(hands.pump()) == {busy}
    assert set(hands.pump(passed_s=LOCALITY_WAIT_S)) == {busy, idle}
    hands.finish(busy)
    hands.finish(idle)
    hands.submit("number", 1, affinity=(0, 1))
    assert set(hands.pump()) == {idle}


def test_rows_of_a_lower_order_go_first_and_gaps_are_filled() -> None:
    hands = Hands("a")
    last = hands.submit("number", 1, affinity=(2, 0))
    first = hands.submit("number", 1, affinity=(1, 0))
    waiting = hands.submit("add", first, affinity=(1, 0), persistent=True)
    orders = []
    while sent := hands.pump():
        orders += [affinity[0] for _, affinity in sent.values()]
        hands.finish(hands.workers[0])
    assert orders == [1, 1, 2]
    assert hands.value(last) == hands.value(waiting) == 1


def test_a_worker_that_joins_gets_work() -> None:
    hands = Hands("a")
    for segment in range(2):
        hands.submit("number", segment, affinity=(0, segment))
    hands.pump()
    newcomer = hands.join("b")
    assert hands.pump()[newcomer] == ("number", (0, 1))


def test_a_slow_worker_gets_fewer_jobs() -> None:
    hands = Hands("a", "a")
    fast, slow = hands.workers
    for number in range(40):
        hands.submit("number", number, affinity=(0, number % 4))
    hands.pump()
    for turn in range(60):
        for worker in (fast, slow) if turn % 4 == 0 else (fast,):
            if worker in hands.calls:
                hands.finish(worker)
        hands.pump(passed_s=LOCALITY_WAIT_S)
    assert fast.num_jobs + slow.num_jobs == 40
    assert 3 * slow.num_jobs <= fast.num_jobs  # it is four times as fast


def test_a_lost_worker_costs_the_job_it_was_at() -> None:
    hands = Hands("a", "a")
    lost, other = hands.workers
    made = hands.submit("number", 2)
    hands.pump()
    hands.finish(lost)
    total = hands.submit("add", made, 1, persistent=True)
    hands.pump()
    call = hands.calls[lost]
    hands.end(lost)
    hands.dispatcher.done(lost, call.job, (1000,))  # what it says now is too late
    assert hands.pump() == {other: ("add", (0, 0))}
    hands.finish(other)
    assert hands.value(total) == 3
    assert hands.dispatcher.pop_costs(0).retries == {"add": 1}


@pytest.mark.parametrize("told", [True, False])
def test_what_a_lost_machine_held_is_made_again_back_to_the_last_file(told: bool) -> None:
    hands = Hands("a", "b")
    file = hands.submit("number", 5, affinity=(0, 1), persistent=True)
    for _ in range(3):
        file_reader = file = hands.submit("add", file, 1, affinity=(0, 1))
    while sent := hands.pump():
        assert set(sent) == {hands.workers[0]}
        hands.finish(hands.workers[0])
    hands.end_node("a", told=told)
    if not told:
        hands.dispatcher.lost(hands.workers[0])
    total = hands.submit("add", file_reader, 1, affinity=(0, 1), persistent=True)
    hands.run()
    assert hands.value(total) == 9
    assert hands.dispatcher.pop_costs(0).retries["add"] >= 3
    assert "number" not in hands.dispatcher.pop_costs(0).retries


def test_a_value_that_is_gone_is_made_again_for_who_asks() -> None:
    hands = Hands("a", "b")
    made = hands.submit("number", 5)
    hands.run()
    hands.dispatcher.wait([made])
    hands.end_node("a")
    hands.dispatcher.wait([made])  # it has run
    total = hands.submit("add", made, persistent=True)
    hands.run()
    assert (hands.value(made), hands.value(total)) == (5, 5)


def test_a_job_that_always_loses_its_worker_ends_and_others_go_on() -> None:
    hands = Hands("a", max_retries=2)
    deadly = hands.submit("number", 1, affinity=(0, 7))
    reader = hands.submit("add", deadly, 1, affinity=(0, 7), persistent=True)
    good = hands.submit("number", 2, affinity=(1, 0), persistent=True)
    for _ in range(3):
        assert hands.pump() == {hands.workers[-1]: ("number", (0, 7))}
        hands.end(hands.workers[-1])
        hands.workers.append(hands.join("a"))
    with pytest.raises(WorkerLostError, match="segment 7 has lost its worker 3 times"):
        hands.dispatcher.get([reader])
    hands.run()
    assert hands.value(good) == 2


def test_a_job_that_was_killed_for_its_memory_runs_in_the_low_memory_form_then_fails() -> None:
    hands = Hands("a")
    job = hands.submit("number", 1, affinity=(0, 3))
    hands.pump()
    assert not hands.calls[hands.workers[0]].low_memory
    hands.end(hands.workers[0], out_of_memory=True)
    worker = hands.join("a")
    hands.pump()
    assert hands.calls[worker].low_memory
    hands.end(worker, out_of_memory=True)
    with pytest.raises(OutOfMemoryError):
        hands.dispatcher.wait([job])


def test_a_kill_for_memory_lowers_that_method_of_that_segment_alone() -> None:
    hands = Hands("a")
    hands.submit("number", 1, affinity=(0, 3), persistent=True)
    hands.pump()
    hands.end(hands.workers[0], out_of_memory=True)
    hands.join("a")
    first = hands.submit("decode", affinity=(0, 3), persistent=True)
    hands.run()
    assert hands.dispatcher.get([first]) == ["high"]
    hands.submit("decode", affinity=(0, 4), persistent=True)
    hands.pump()
    hands.end(next(iter(hands.calls)), out_of_memory=True)
    hands.join("a")
    refs = [hands.submit("decode", affinity=(0, segment), persistent=True) for segment in (4, 5)]
    hands.run()
    assert hands.dispatcher.get(refs) == ["low", "high"]


def test_an_error_reaches_whoever_waits_for_it() -> None:
    hands = Hands("a")
    wrong = hands.submit("wrong")
    reader = hands.submit("add", hands.submit("add", wrong, 1), 1, persistent=True)
    hands.run()
    late = hands.submit("add", wrong)
    for ref in (wrong, reader, late):
        with pytest.raises(RenderError, match="wrong failed: ValueError: this never works"):
            hands.dispatcher.get([ref])


def test_a_row_that_is_dropped_leaves_its_workers_to_others() -> None:
    hands = Hands("a")
    dropped = [hands.submit("number", 1, affinity=(0, segment)) for segment in range(5)]
    good = hands.submit("number", 2, affinity=(1, 0), persistent=True)
    hands.pump()
    hands.dispatcher.cancel_row(0)
    hands.run()
    assert hands.value(good) == 2
    assert hands.workers[0].num_jobs == 2
    with pytest.raises(RenderError, match="given up"):
        hands.dispatcher.wait(dropped)


@pytest.mark.parametrize("fate", ["done", "failed", "killed for its memory"])
def test_a_job_that_outlives_its_row_is_on_no_bill(fate: str) -> None:
    hands = Hands("a")
    hands.submit("wrong" if fate == "failed" else "decode")
    hands.pump()
    hands.dispatcher.cancel_row(0)
    hands.dispatcher.pop_costs(0)
    if fate == "killed for its memory":
        hands.end(hands.workers[0], out_of_memory=True)
        hands.join("a")
    else:
        hands.finish(hands.workers[0])
    again = hands.submit("decode", persistent=True)
    hands.run()
    assert hands.dispatcher.get([again]) == ["high"]
    assert hands.dispatcher.pop_costs(0).jobs == 1


def test_nobody_waits_for_workers_that_never_come() -> None:
    hands = Hands()
    job = hands.submit("number", 1)
    hands.dispatcher.close(WorkerLostError("no worker", remedy="Start one."))
    with pytest.raises(WorkerLostError):
        hands.dispatcher.get([job])
    with pytest.raises(WorkerLostError):
        hands.dispatcher.get([hands.submit("number", 1)])
    hands.join("a")
    job = hands.submit("number", 1, persistent=True)
    hands.run()
    assert hands.value(job) == 1


@given(data=st.data())
def test_whatever_dies_the_results_are_the_same(data: st.DataObject) -> None:
    hands = Hands("node 0", "node 1", "node 1", max_retries=1000)
    refs: list[Ref] = []
    expected: list[int] = []
    draw = data.draw
    for number in range(draw(st.integers(1, 10))):
        inputs = draw(st.lists(st.integers(0, number - 1), max_size=3)) if number else []
        affinity = (draw(st.integers(0, 1)), draw(st.integers(0, 2)))
        last = draw(st.booleans())
        refs.append(
            hands.submit(
                "add", number, *(refs[i] for i in inputs), affinity=affinity, persistent=last
            )
        )
        expected.append(number + sum(expected[i] for i in inputs))
    alive, num_nodes = list(hands.workers), 2
    for _ in range(draw(st.integers(0, 30))):
        hands.pump(passed_s=draw(st.sampled_from([0.0, 1.0])))
        match draw(st.sampled_from(["finish", "finish", "end", "end node"])):
            case "finish":
                if hands.calls:
                    hands.finish(draw(st.sampled_from(list(hands.calls))))
            case "end":
                alive = _replaced(hands, alive, [draw(st.sampled_from(alive))])
            case "end node":
                node = draw(st.sampled_from(sorted({worker.node for worker in alive})))
                hands.end_node(node, told=draw(st.booleans()))
                gone = [worker for worker in alive if worker.node == node]
                num_nodes += 1
                alive = _replaced(hands, alive, gone, f"node {num_nodes}")
    hands.run()
    assert [hands.value(ref) for ref in refs] == expected


def _replaced(
    hands: Hands, alive: list[Worker], gone: list[Worker], node: str | None = None
) -> list[Worker]:
    for worker in gone:
        hands.end(worker)
    kept = [worker for worker in alive if worker not in gone]
    return kept + [hands.join(node or worker.node) for worker in gone]
