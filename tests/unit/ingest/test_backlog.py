"""The queue between reading and decoding."""

import threading
from queue import Full

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetlake.ingest import native
from fleetlake.ingest.arrivals import Chunk
from fleetlake.ingest.backlog import Backlog
from fleetlake.ingest.native import NativeIngest


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


def test_while_the_decoding_thread_is_behind_the_client_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it reads ahead meanwhile is not bounded where keys or headers are large."""
    monkeypatch.setattr(native, "REST_AFTER_S", 0.01)
    ingest, rests = NativeIngest.__new__(NativeIngest), list[int]()
    ingest._chunks = Backlog(1, lambda item: 1)

    class Reading:
        def rest(self) -> None:
            rests.append(ingest._chunks.qsize())
            ingest._chunks.get()  # the decoding thread goes on

    for _ in range(2):
        ingest._hand_on(Chunk("t", pa.table({}), {}, {}), Reading())  # type: ignore[arg-type]
    assert (rests, ingest._chunks.qsize()) == ([1], 1)
