"""The queue between reading and decoding."""

import threading
from queue import Full

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetlake.ingest.backlog import Backlog


def of_lengths(limit: int) -> Backlog[str]:
    return Backlog(limit, len)


def test_what_it_holds_is_bounded_by_weight() -> None:
    backlog = of_lengths(5)
    backlog.put_nowait("four")
    backlog.put_nowait("more than that")
    with pytest.raises(Full):
        backlog.put_nowait("x")
    assert backlog.get_nowait() == "four"
    with pytest.raises(Full):
        backlog.put_nowait("x")
    assert backlog.get_nowait() == "more than that"
    backlog.put_nowait("x")
    assert backlog.get_nowait() == "x"
    assert backlog.empty()


@given(st.lists(st.text(min_size=1, max_size=20)), st.integers(1, 30))
def test_another_thread_gets_everything_in_order(items: list[str], limit: int) -> None:
    backlog = of_lengths(limit)
    putting = threading.Thread(target=lambda: [backlog.put(item) for item in items])
    putting.start()
    held = []
    found = []
    for _ in items:
        held.append(backlog.qsize())
        found.append(backlog.get(timeout=60))
    putting.join()
    assert found == items
    assert backlog.empty()
    assert max(held, default=0) < limit + 20
