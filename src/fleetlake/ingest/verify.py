"""Does the lake hold what Kafka holds, each record once, as it was committed? From the tables and the broker, not from any log."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import duckdb
from pyiceberg.table import Table as IcebergTable

from fleetlake.contracts.events import Event
from fleetlake.contracts.table import Table
from fleetlake.contracts.tables import bronze_of, silver_of
from fleetlake.ingest.offsets import KafkaTopicState, Offsets
from fleetlake.ingest.presence import LookUp, every_offset
from fleetlake.ingest.verify_bronze import INGEST, RESTORE, AskAgain, Findings, compare_bronze
from fleetlake.ingest.verify_silver import compare_silver
from fleetlake.lake.catalog import Lake
from fleetlake.lake.evolution import exchanged_columns
from fleetlake.lake.memory_database import memory_database
from fleetlake.lake.scan import damage_named, expose

TRANSFORM, REBUILD = "fleetlake transform", "fleetlake transform --full"


class CheckState(StrEnum):
    """What a topic's check found."""

    OK = "ok"
    BEHIND = "behind"  # bronze is Kafka; silver has yet to read some of it
    NOT_EQUAL = "NOT EQUAL"


@dataclass(frozen=True, slots=True)
class TopicCheck:
    """One topic's books, in records.

    kafka: offsets between the watermarks. landed: rows of bronze. rejected: those with a reason. duplicates: good rows whose
    event_id an earlier one has. silver, late: rows of silver; None before the first transform. problems: what does not add up.
    hints: what to do about it, in this order. erased: places whose record `fleetlake erase` took out. no_record: offsets of which
    Kafka was asked and that have none: markers of transactions, aborted or compacted records. accepted: offsets that
    retention deleted before they were ingested, and that --accept-gaps accepted. notes: what could not be checked.
    """

    topic: str
    kafka: int
    landed: int
    rejected: int
    duplicates: int
    silver: int | None
    late: int | None
    problems: tuple[str, ...] = ()
    state: CheckState = CheckState.OK
    hints: tuple[str, ...] = ()
    erased: int = 0
    no_record: int = 0
    accepted: int = 0
    notes: tuple[str, ...] = ()


def check_topic(
    lake: Lake,
    event: Event,
    source: KafkaTopicState,
    silver_read: Offsets | None,
    look_up: LookUp = every_offset,
    *,
    silver: IcebergTable | None = None,
    ask_again: AskAgain | None = None,
) -> TopicCheck:
    """Compares a topic with its tables; first whether it is the topic the tables were filled from.

    silver_read: the next offset of each partition the silver table has not read yet; None if there was no transform. look_up: says
    at which of the offsets that bronze lacks Kafka has a record; the default is for topics without transactions and compaction,
    where each offset is a record's. silver: the table as it was loaded when it had read so far; the one there is now unless given.
    ask_again: says how the topic is by then, for a table that is ahead of `source`. Reads all of bronze and silver, in bounded
    memory but for the event ids.
    """
    kafka = source.size
    if not lake.has(bronze_of(event).name):
        if not kafka:
            return TopicCheck(source.topic, 0, 0, 0, 0, None, None)
        absent = f"{kafka} records are in Kafka, none in the lake"
        return TopicCheck(source.topic, kafka, 0, 0, 0, None, None, (absent,), CheckState.NOT_EQUAL, (INGEST,))
    with memory_database("verify") as con, damage_named(con):
        if silver_read is not None:
            silver = silver or lake.table(silver_of(event).name)
            expose(con, silver, "silver")
        bronze = lake.table(bronze_of(event).name)  # after silver, which has no row then that is not there
        expose(con, bronze, "bronze")
        found = compare_bronze(con, lake, bronze, source, look_up, ask_again)
        return _check(con, event, source, bronze, silver, found, silver_read)


def _check(
    con: duckdb.DuckDBPyConnection,
    event: Event,
    source: KafkaTopicState,
    bronze: IcebergTable,
    silver: IcebergTable | None,
    found: Findings,
    silver_read: Offsets | None,
) -> TopicCheck:
    for problem in _exchanged(bronze, bronze_of(event)):
        found.add(problem, RESTORE)
    problems, hints = list(found.problems), list(dict.fromkeys(found.hints))
    ((rejected, duplicates, landed),) = con.execute(
        """SELECT count(reject_reason), count(*) FILTER (reject_reason IS NULL) - count(DISTINCT event_id)
           FILTER (reject_reason IS NULL), count(*) FROM bronze"""
    ).fetchall()
    silver_rows = late = None
    waiting, wrong = 0, list[str]()
    if silver_read is not None:
        wrong = _exchanged(silver, silver_of(event)) if silver else []
        if not wrong:
            silver_rows, late, waiting, wrong = compare_silver(con, event, bronze.schema(), silver_read)
        problems += wrong
    state = CheckState.NOT_EQUAL if problems else CheckState.BEHIND if waiting else CheckState.OK
    if waiting:
        problems.append(f"silver: {waiting} bronze rows are waiting for {TRANSFORM}")
    if wrong or waiting:
        hints.append(REBUILD if wrong else TRANSFORM)
    return TopicCheck(
        source.topic, found.kafka, landed, rejected, duplicates, silver_rows, late, tuple(problems), state, tuple(hints),
        found.erased, found.no_record, found.accepted, tuple(found.notes),
    )  # fmt: skip


def _exchanged(table: IcebergTable, contract: Table) -> list[str]:
    names = exchanged_columns(table, contract)
    layer = contract.layer
    return [f"{layer}: another tool took away or renamed {', '.join(names)}: what it held is not read any more"] if names else []
