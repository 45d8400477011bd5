"""What a thread makes is its own, and is made once."""

from concurrent.futures import ThreadPoolExecutor

from sonic_ops.core.threads import per_thread


def test_every_thread_makes_its_own_once() -> None:
    made = per_thread(object)
    with ThreadPoolExecutor(1) as other:
        there, again = other.submit(made).result(), other.submit(made).result()
    assert there is again
    assert made() is made()
    assert made() is not there
