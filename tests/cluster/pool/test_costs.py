"""What a row has cost, by method, and which worker was at what when."""

from cluster.pool.costs import CostTracker, Span, joined


def test_seconds_are_summed_by_method() -> None:
    store = CostTracker()
    for method, seconds in (("denoise", 2.0), ("fuse", 0.5), ("denoise", 1.0)):
        store.ran((3, 0), method, seconds, low_memory=False)
    costs = store.pop_costs(3)
    assert costs.seconds == {"denoise": 3.0, "fuse": 0.5}
    assert costs.worker_s == 3.5


def test_jobs_of_one_stage_that_follow_each_other_are_one_span() -> None:
    store = CostTracker()
    for worker, method, stop_s in (
        (0, "encode_chunk", 1.0),
        (0, "denoise", 2.0),
        (1, "denoise", 2.2),
        (0, "fuse", 3.1),
        (0, "denoise", 9.0),
    ):
        store.ran((1, 0), method, 1.0, low_memory=False, worker=worker, stop_s=stop_s)
    assert [
        (s.worker, s.stage, round(s.start_s, 1), s.stop_s) for s in store.pop_costs(1).spans
    ] == [
        (0, "encode audio", 0.0, 1.0),
        (0, "denoise", 1.0, 3.1),
        (0, "denoise", 8.0, 9.0),
        (1, "denoise", 1.2, 2.2),
    ]


def test_spans_of_a_long_row_stay_few_and_lose_no_time() -> None:
    store = CostTracker()
    for index in range(5000):
        stop_s = 3.0 * index + 1
        store.ran((1, 0), "denoise", 1.0, low_memory=False, worker=index % 2, stop_s=stop_s)
    spans = store.pop_costs(1).spans
    assert len(spans) <= 500
    assert (spans[0].start_s, max(span.stop_s for span in spans)) == (0.0, 3.0 * 4999 + 1)


def test_an_overlap_is_joined_to_its_end() -> None:
    long, inside = Span(0, "denoise", 0, 10), Span(0, "denoise", 2, 3)
    assert joined([inside, long], 0.0) == [long]


def test_more_workers_than_spans_are_kept_show_the_first_of_them() -> None:
    store = CostTracker()
    for turn in range(2):
        for worker in range(170):
            for index, method in enumerate(("encode_chunk", "denoise", "decode")):
                stop_s = 100.0 * turn + index + 1
                store.ran((1, 0), method, 1.0, low_memory=False, worker=worker, stop_s=stop_s)
    costs = store.pop_costs(1)
    assert len(costs.spans) == 500
    assert {span.worker for span in costs.spans} == set(range(167))
    assert costs.spans[0] == Span(0, "encode audio", 0.0, 101.0)
    assert costs.worker_s == 2 * 170 * 3


def test_a_worker_that_goes_to_and_fro_between_stages_loses_no_time() -> None:
    store = CostTracker()
    for index in range(2000):
        method, stop_s = ("denoise", "decode")[index % 2], 2.0 * index + 1
        store.ran((1, 0), method, 1.0, low_memory=False, stop_s=stop_s)
    spans = store.pop_costs(1).spans
    assert len(spans) <= 500
    assert max(span.stop_s for span in spans) == 2.0 * 1999 + 1
