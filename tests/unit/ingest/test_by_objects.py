"""The way of taking records without our compiled code: what a record weighs."""

from __future__ import annotations

from typing import Any

import pytest

from fleetlake.ingest.by_objects import A_HEADER, _weigh


class Record:
    """As much of the client's message as is weighed."""

    def __init__(self, headers: Any) -> None:
        self._headers = headers

    def __len__(self) -> int:
        return 10

    def key(self) -> bytes:
        return b"key"

    def headers(self) -> Any:
        if isinstance(self._headers, Exception):
            raise self._headers
        return self._headers


@pytest.mark.parametrize(
    ("headers", "bytes_"),
    [
        (None, 13),
        ([("name", b"value"), ("none", None)], 13 + 2 * A_HEADER + 13),
        (SystemError("headers returned a result with an exception set"), 13 + A_HEADER),  # of a name that is not UTF-8
    ],
)
def test_a_record_weighs_its_value_key_and_headers(headers: Any, bytes_: int) -> None:
    record: Any = Record(headers)
    assert _weigh(record) == bytes_
