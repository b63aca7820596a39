"""When a commit ends."""

import pytest

from fleetlake.ingest.flush import Buffered, FlushPolicy, PassedOffsets, should_flush

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


def test_offsets_without_rows_are_due_once_they_are_old_enough() -> None:
    passed = PassedOffsets(FlushPolicy(offsets_age_s=60))
    passed.note("a", 10.0)
    passed.note("a", 50.0)
    passed.note("b", 30.0)
    assert [passed.due(now_s) for now_s in (69.0, 70.0, 90.0)] == [[], ["a"], ["a", "b"]]
    passed.note_cut(["a"])
    assert passed.due(90.0) == ["b"]
    passed.note("a", 90.0)
    assert passed.due(149.0) == ["b"]


def test_offsets_are_not_due_where_rows_take_them_along() -> None:
    passed = PassedOffsets(FlushPolicy(offsets_age_s=60))
    passed.note("a", 0.0)
    passed.note("b", 0.0)
    passed.note_rows("a")
    passed.note_cut([])
    assert passed.due(60.0) == ["b"]
    passed.note("a", 60.0)
    passed.note_cut([])
    assert passed.due(120.0) == ["b", "a"]
