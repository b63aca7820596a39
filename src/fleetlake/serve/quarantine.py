"""What ingest rejected: where it is in Kafka, why, and the bytes, as many of a record as one reads."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import pyarrow as pa

from fleetlake.contracts.events import EVENTS
from fleetlake.foundation.errors import BadInput
from fleetlake.lake.catalog import Lake
from fleetlake.serve.query import UsedTables, expose_tables
from fleetlake.serve.session import fetch, reading_session

SHOWN_BYTES = 64 * 1024
PLACE = ("topic", "kafka_partition", "kafka_offset")


@dataclass(frozen=True, slots=True)
class Quarantine:
    """counts: topic, rule, rows.

    records: the columns of `quarantine`, by topic, partition and offset; payload in bytes, the first SHOWN_BYTES of a longer one,
    and payload_bytes, how many it has.
    """

    counts: pa.Table
    records: pa.Table

    @property
    def rejected(self) -> int:
        """How many there are, shown or not."""
        return int(sum(self.counts["rows"].to_pylist()))


def read_quarantine(lake: Lake, *, topic: str | None = None, limit: int = 0) -> Quarantine:
    """The rejected records of one topic or all, `limit` of them at most (0: all); the counts are always of all."""
    topics = [event.topic for event in EVENTS]
    if topic is not None and topic not in topics:
        raise BadInput(f"there is no topic {topic}", where="--topic", allowed=", ".join(topics))
    chosen, place = {"topic": topic}, ", ".join(PLACE)
    firsts = f"SELECT ({place}) FROM quarantine WHERE $topic IS NULL OR topic = $topic ORDER BY {place}"
    # Records may have a megabyte each, and DuckDB sorts and hands out 2,048 at a time, in each thread: so one thread reads them,
    # they are cut at once, and Arrow sorts them.
    with reading_session(lambda con: expose_tables(con, lake, UsedTables((), quarantine=True)), threads=1) as con:
        counts = fetch(
            con,
            """
            SELECT topic, split_part(reject_reason, ':', 1) AS rule, count(*) AS "rows"
            FROM quarantine WHERE $topic IS NULL OR topic = $topic
            GROUP BY ALL ORDER BY ALL
            """,
            parameters=chosen,
        )
        records = fetch(
            con,
            f"""
            SELECT * REPLACE (payload[1:{SHOWN_BYTES}] AS payload), octet_length(payload) AS payload_bytes FROM quarantine
            WHERE ($topic IS NULL OR topic = $topic)
            {f"AND ({place}) IN ({firsts} LIMIT {int(limit)})" if limit else ""}
            """,
            parameters=chosen,
        )
    records = records.set_column(records.column_names.index("payload"), "payload", _between_characters(records))
    return Quarantine(counts, records.sort_by([(name, "ascending") for name in PLACE]))


def _between_characters(records: pa.Table) -> pa.ChunkedArray:
    """Return the payloads, none of which ends within a character because it was cut."""
    payloads, whole_bytes = records["payload"].cast(pa.large_binary()), records["payload_bytes"].to_pylist()
    if max((size or 0 for size in whole_bytes), default=0) <= SHOWN_BYTES:
        return payloads
    cut = zip(payloads.to_pylist(), whole_bytes, strict=True)
    whole = [without_part_of_character(payload) if (size or 0) > SHOWN_BYTES else payload for payload, size in cut]
    return pa.chunked_array([whole], pa.large_binary())


def without_part_of_character(payload: bytes) -> bytes:
    """The payload without a last character of UTF-8 that it was cut within."""
    for kept in range(len(payload) - 1, max(len(payload) - 4, -1), -1):
        if payload[kept] >= 0xC0:  # where a character begins that takes several bytes
            try:
                payload[kept:].decode()
            except UnicodeDecodeError:
                return payload[:kept]
            return payload
    return payload


def as_document(found: Quarantine) -> dict[str, object]:
    """The quarantine as JSON: `rejected`, `counts` and `records`; a payload that is not UTF-8 is under `payload_base64`.

    A record whose payload was cut has `payload_bytes` too: how many it has as a whole.
    """
    records = []
    for record in found.records.to_pylist():
        payload = record.pop("payload") or b""
        if (record["payload_bytes"] or 0) <= len(payload):
            del record["payload_bytes"]
        try:
            record["payload"] = payload.decode()
        except UnicodeDecodeError:
            record["payload_base64"] = base64.b64encode(payload).decode()
        records.append(record)
    return {"rejected": found.rejected, "counts": found.counts.to_pylist(), "records": records}
