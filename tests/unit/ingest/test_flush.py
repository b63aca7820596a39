"""When a commit ends."""

import pytest

from fleetlake.ingest.flush import Buffered, FlushPolicy, should_flush

POLICY = FlushPolicy(rows=100, bytes=1000, age_s=0.5, behind_age_s=5)


@pytest.mark.parametrize(
    ("buffered", "expected"),
    [
        (Buffered(0, 0, 99, behind=False, busy=False), False),
        (Buffered(1, 10, 0.49, behind=False, busy=False), False),
        (Buffered(1, 10, 0.5, behind=False, busy=False), True),
        (Buffered(1, 10, 0.5, behind=True, busy=False), False),
        (Buffered(1, 10, 0.5, behind=False, busy=True), False),
        (Buffered(1, 10, 5.0, behind=True, busy=True), True),
        (Buffered(100, 10, 0, behind=True, busy=True), True),
        (Buffered(1, 1000, 0, behind=True, busy=True), True),
    ],
)
def test_should_flush(buffered: Buffered, expected: bool) -> None:
    assert should_flush(buffered, POLICY) is expected
