"""What ingest rejected: where it is in Kafka, why, and the bytes."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import pyarrow as pa

from fleetlake.contracts.events import EVENTS
from fleetlake.foundation.errors import BadInput
from fleetlake.lake.catalog import Lake
from fleetlake.serve.query import UsedTables, expose_tables
from fleetlake.serve.session import fetch, reading_session


@dataclass(frozen=True, slots=True)
class Quarantine:
    """counts: topic, rule, rows. records: the columns of `quarantine`, payload in bytes, by topic, partition and offset."""

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
    chosen = {"topic": topic}
    with reading_session(lambda con: expose_tables(con, lake, UsedTables((), quarantine=True))) as con:
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
            SELECT * FROM quarantine WHERE $topic IS NULL OR topic = $topic
            ORDER BY topic, kafka_partition, kafka_offset
            {f"LIMIT {int(limit)}" if limit else ""}
            """,
            parameters=chosen,
        )
    return Quarantine(counts, records)


def as_document(found: Quarantine) -> dict[str, object]:
    """The quarantine as JSON: `rejected`, `counts` and `records`; a payload that is not UTF-8 is under `payload_base64`."""
    records = []
    for record in found.records.to_pylist():
        payload = record.pop("payload") or b""
        try:
            record["payload"] = payload.decode()
        except UnicodeDecodeError:
            record["payload_base64"] = base64.b64encode(payload).decode()
        records.append(record)
    return {"rejected": found.rejected, "counts": found.counts.to_pylist(), "records": records}
