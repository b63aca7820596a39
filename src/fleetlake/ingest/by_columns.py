"""Records as columns, straight from the C library under the client: no Python object for each, and reading without Python's lock.

Only the partitions' records are led to a queue of their own (rd_kafka_queue_forward is made for that) and taken from there by
`messages.c`, as events, so that no callback of Python's is called on the way; all else of the consumer stays confluent-kafka's.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa
from confluent_kafka import Consumer, KafkaError

from fleetlake.broker.librdkafka import address_of, handle_of, librdkafka
from fleetlake.foundation.errors import Retryable
from fleetlake.ingest.arrivals import ENOUGH_BYTES, Arrivals, Chunk, Trouble, make_chunk
from fleetlake.ingest.buffers import MAX_ARRAY_BYTES, Numbers, join_payloads
from fleetlake.ingest.by_objects import troubles_of
from fleetlake.ingest.offsets import Offsets
from fleetlake.runtime.compiled import compiled

CALLBACKS = 100  # served at a time; a message each at most


class _HeaderFunctions(ctypes.Structure):
    """`header_functions` of messages.c."""

    _fields_ = (("take", ctypes.c_void_p), ("get", ctypes.c_void_p), ("destroy", ctypes.c_void_p))


class ByColumns:
    """Takes from a consumer that has no partitions yet: `assign` them after this was made. start: where each is to be read from."""

    def __init__(self, consumer: Consumer, start: Mapping[str, Offsets]) -> None:
        self._c, self._messages = librdkafka(), compiled()
        self._time_of = address_of(self._c.rd_kafka_message_timestamp)
        self._poll, self._next_of = address_of(self._c.rd_kafka_queue_poll), address_of(self._c.rd_kafka_event_message_next)
        self._destroy = address_of(self._c.rd_kafka_event_destroy)
        of_headers = (self._c.rd_kafka_message_detach_headers, self._c.rd_kafka_header_get_all, self._c.rd_kafka_headers_destroy)
        self._headers, self._weight = _HeaderFunctions(*map(address_of, of_headers)), ctypes.c_int64()
        self._consumer, self._handle = consumer, handle_of(consumer)
        self._queue = self._c.rd_kafka_queue_new(self._handle)
        for topic, offsets in start.items():
            self.add(topic, offsets)

    def add(self, topic: str, partitions: Iterable[int]) -> None:
        for partition in partitions:
            records = self._c.rd_kafka_queue_get_partition(self._handle, topic.encode(), partition)
            self._c.rd_kafka_queue_forward(records, self._queue)
            self._c.rd_kafka_queue_destroy(records)

    def take(self, limit: int, timeout_s: float, *, enough_bytes: int = ENOUGH_BYTES) -> Arrivals:
        troubles = self._call_back()
        events, messages = np.empty(limit, np.uintp), np.empty(limit, np.uintp)
        functions, weight = (self._poll, self._next_of, ctypes.byref(self._headers)), ctypes.byref(self._weight)
        into, time_ms = (events.ctypes.data, messages.ctypes.data), int(timeout_s * 1000)
        count = self._messages.take_events(self._queue, *functions, time_ms, *into, limit, enough_bytes, weight)
        is_full = count == limit or self._weight.value >= enough_bytes
        try:
            troubles += [self._trouble(int(event)) for event in events[:count][messages[:count] == 0]]
            return Arrivals(self._chunks(messages[:count][messages[:count] != 0]), troubles, is_full, self._weight.value)
        finally:
            self._messages.give_back(events.ctypes.data, count, self._destroy)

    def close(self) -> None:
        self._c.rd_kafka_queue_destroy(self._queue)
        self._consumer.close()

    def _call_back(self) -> list[Trouble]:
        """What concerns no partition goes through the client, which has Python's callbacks."""
        messages = self._consumer.consume(CALLBACKS, 0)
        if not messages:
            return []
        troubles = troubles_of(messages)
        if len(troubles) < len(messages):
            raise Retryable("the Kafka client gave records where it gives errors only", hint="run the ingest again")
        return troubles

    def _trouble(self, event: int) -> Trouble:
        error = KafkaError(self._c.rd_kafka_event_error(event), _text(self._c.rd_kafka_event_error_string(event)))
        place = self._c.rd_kafka_event_topic_partition(event)
        if not place:
            return Trouble("", 0, 0, error)
        try:
            return Trouble(_text(place.contents.topic), place.contents.partition, place.contents.offset, error)
        finally:
            self._c.rd_kafka_topic_partition_destroy(place)

    def _chunks(self, messages: Numbers) -> list[Chunk]:
        count = len(messages)
        topics, partitions = np.empty(count, np.uintp), np.empty(count, np.int32)
        offsets, times_ms, sizes = (np.empty(count, np.int64) for _ in range(3))
        into = (column.ctypes.data for column in (topics, partitions, offsets, times_ms, sizes))
        self._messages.describe_records(messages.ctypes.data, count, self._time_of, *into)
        chunks = []
        for topic in np.unique(topics):
            these = np.flatnonzero(topics == topic)
            columns = (column[these] for column in (messages, partitions, offsets, times_ms, sizes))
            chunks.append(self._chunk(self._name(topic), *columns))
        return chunks

    def _chunk(
        self, topic: str, messages: Numbers, partitions: Numbers, offsets: Numbers, times_ms: Numbers, sizes: Numbers
    ) -> Chunk:
        def epoch_of(i: int) -> int:
            return int(self._c.rd_kafka_message_leader_epoch(int(messages[i])))

        return make_chunk(topic, partitions, offsets, times_ms, self._payload(messages, sizes), epoch_of)

    def _payload(self, messages: Numbers, sizes: Numbers) -> pa.Array | pa.ChunkedArray:
        total = int(np.maximum(sizes, 0).sum())
        if total > MAX_ARRAY_BYTES and len(messages) > 1:
            half = len(messages) // 2
            halves = [self._payload(messages[:half], sizes[:half]), self._payload(messages[half:], sizes[half:])]
            return pa.chunked_array([part for arrays in halves for part in getattr(arrays, "chunks", [arrays])])
        data = np.empty(total, np.uint8)
        self._messages.copy_payloads(messages.ctypes.data, len(messages), data.ctypes.data)
        return join_payloads(sizes, data)

    def _name(self, topic: int) -> str:
        return _text(self._c.rd_kafka_topic_name(int(topic))) if topic else ""


def _text(from_c: bytes | None) -> str:
    return (from_c or b"").decode(errors="replace")
