"""Records by way of the client's own object for each, at three times the price of `by_columns`: for where that can't be had."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa
from confluent_kafka import Consumer, Message

from fleetlake.ingest.arrivals import ENOUGH_BYTES, Arrivals, Chunk, Trouble, make_chunk
from fleetlake.ingest.buffers import MAX_ARRAY_BYTES, join_payloads
from fleetlake.ingest.fingerprints import UNKNOWN_EPOCH

FIRST_ASKED_FOR, MOST_ASKED_FOR = 16, 512
A_HEADER = 64  # bytes for each, besides its name and value, as messages.c has it


class ByObjects:
    """Takes from a consumer that has its partitions assigned."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    def take(self, limit: int, timeout_s: float, *, enough_bytes: int = ENOUGH_BYTES) -> Arrivals:
        messages, is_full, weight = self._consume(limit, timeout_s, enough_bytes)
        troubles = troubles_of(messages)
        if troubles:
            messages = [m for m in messages if m.error() is None]
        topics = [topic or "" for topic in map(Message.topic, messages)]
        by_topic = groupby(sorted(zip(topics, messages, strict=True), key=itemgetter(0)), key=itemgetter(0))
        return Arrivals([_chunk(topic, [message for _, message in part]) for topic, part in by_topic], troubles, is_full, weight)

    def add(self, topic: str, partitions: Iterable[int]) -> None:
        """Nothing has to be prepared."""

    def close(self) -> None:
        self._consumer.close()

    def _consume(self, limit: int, timeout_s: float, enough_bytes: int) -> tuple[list[Message], bool, int]:
        """The messages, whether they are as much as was asked for, and their weight.

        The client counts messages only: it is asked for as many at a time as will hardly be more bytes than are still wanted.
        """
        until, messages, size, largest, asked = time.monotonic() + timeout_s, list[Message](), 0, 1, FIRST_ASKED_FOR
        while len(messages) < limit and size < enough_bytes:
            asked = min(asked, limit - len(messages))
            came = self._consumer.consume(asked, max(0.0, until - time.monotonic()))
            sizes = list(map(_weigh, came))
            size, largest = size + sum(sizes), max(largest, *sizes, 1)
            messages += came
            if len(came) < asked:
                break
            asked = min((enough_bytes - size) // largest + 1, MOST_ASKED_FOR)
        return messages, len(messages) >= limit or size >= enough_bytes, size


def _weigh(message: Message) -> int:
    """The bytes of value, key and headers; a record without a value has a key all the same."""
    try:
        headers: Iterable[Any] = message.headers() or ()
    except SystemError:  # of a name that is not UTF-8; what the client has made of them by then is not asked for again
        return len(message) + len(message.key() or b"") + A_HEADER
    return len(message) + len(message.key() or b"") + sum(A_HEADER + len(name) + len(value or b"") for name, value in headers)


def troubles_of(messages: list[Message]) -> list[Trouble]:
    """Of those that are no records. A consumed message always has a place, though its type does not say so."""
    if not any(map(Message.error, messages)):
        return []
    return [Trouble(m.topic() or "", m.partition() or 0, m.offset() or 0, e) for m in messages if (e := m.error()) is not None]


def _chunk(topic: str, messages: list[Message]) -> Chunk:
    partitions = np.fromiter(map(Message.partition, messages), np.int32, len(messages))
    offsets = np.fromiter(map(Message.offset, messages), np.int64, len(messages))
    times_ms = np.fromiter(map(itemgetter(1), map(Message.timestamp, messages)), np.int64, len(messages))
    payload = _binary(list(map(Message.value, messages)))
    return make_chunk(topic, partitions, offsets, times_ms, payload, lambda i: _epoch(messages[i]))


def _epoch(message: Message) -> int:
    epoch = message.leader_epoch()
    return UNKNOWN_EPOCH if epoch is None else epoch


def _binary(values: list[bytes | None]) -> pa.Array | pa.ChunkedArray:
    """The values as one Arrow array. Joining them is five times as fast as letting Arrow take them one by one."""
    try:
        data = b"".join(values)  # type: ignore[arg-type]  # a None is what the except is for
    except TypeError:
        return pa.array(values, pa.binary())
    if len(data) > MAX_ARRAY_BYTES:
        return pa.chunked_array([pa.array([value], pa.binary()) for value in values])
    return join_payloads(np.fromiter(map(len, values), np.int64, len(values)), data)  # type: ignore[arg-type]  # none is None here
