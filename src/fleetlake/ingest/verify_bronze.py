"""One bronze table against its topic and against its own digest: which records are missing, doubled or not what was committed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import duckdb
import pyarrow as pa
from pyiceberg.table import Table as IcebergTable

from fleetlake.contracts.tables import ERASED
from fleetlake.foundation.errors import DataLoss
from fleetlake.ingest.accounts import account_of
from fleetlake.ingest.offsets import IngestEngine, IngestMarker, KafkaTopicState, check_identity
from fleetlake.ingest.presence import LookUp
from fleetlake.ingest.ranges import Places, Ranges
from fleetlake.lake.catalog import Lake
from fleetlake.lake.digest import Account, Digest, digest_of
from fleetlake.lake.scan import expose

INGEST = "fleetlake ingest --once"
ACCEPT = "fleetlake ingest --once --accept-gaps, which writes the loss down and goes on"
RESTORE = "restore the table from a backup, or ingest what Kafka still has into a new lake: fleetlake --home DIR ingest --once"
RESTORE_LOG = "restore the broker's log, or ingest into a new lake: fleetlake --home DIR ingest --once"
BATCH_ROWS = 100_000
AskAgain = Callable[[], KafkaTopicState]  # the topic as the broker shows it by then


@dataclass(slots=True)
class Findings:
    """problems: what does not add up, and what to do about it, in this order. notes: what could not be looked at, and why.

    kafka: offsets of the topic that were compared. erased: places whose record `fleetlake erase` took out. no_record: offsets that
    are no record's, as Kafka says. accepted: those that retention deleted before they were ingested, and that somebody accepted as
    lost.
    """

    problems: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    kafka: int = 0
    erased: int = 0
    no_record: int = 0
    accepted: int = 0

    def add(self, problem: str, hint: str) -> None:
        self.problems.append(problem)
        self.hints.append(hint)


@dataclass(frozen=True, slots=True)
class _Rows:
    """What was read of a table. held, rows: by partition, the offsets there are, and how many rows. digest: of those counted."""

    held: Mapping[int, Ranges]
    rows: Mapping[int, int]
    digest: Digest


def compare_bronze(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    bronze: IcebergTable,
    source: KafkaTopicState,
    look_up: LookUp,
    ask_again: AskAgain | None = None,
) -> Findings:
    """Compares a bronze table, whose view is `bronze`, with its topic.

    source: the topic before the table was loaded, so that all it shows should be in the table. ask_again: for where the table is
    ahead of that, as it may be beside a running ingest; without it a table that is ahead is a problem. Where the topic is another
    one than the table was filled from, that is all that is found: its offsets say nothing then.
    """
    findings, marker = Findings(), IngestMarker.of(bronze.properties)
    account = account_of(bronze)
    rows = _read(con, bronze, account)
    erased = {
        partition: ranges - rows.held.get(partition, Ranges()) for partition, ranges in _noted(con, lake, source.topic).items()
    }
    findings.erased = sum(ranges.size for ranges in erased.values())
    _compare_digest(findings, account, marker, rows)
    findings.kafka = source.size
    if marker is not None:
        try:
            check_identity(marker, source)
        except DataLoss as other:
            findings.add(other.what, other.hint)
            return findings
    if ask_again and _is_ahead(rows.held, source):
        source = _extended(source, rows.held, ask_again())
        findings.kafka = source.size
    _compare_places(findings, source, marker, account, rows, erased, look_up)
    return findings


def _is_ahead(held: Mapping[int, Ranges], source: KafkaTopicState) -> bool:
    return any(
        ranges and (partition not in source.watermarks or ranges.after > source.watermarks[partition][1])
        for partition, ranges in held.items()
    )


def _extended(source: KafkaTopicState, held: Mapping[int, Ranges], now: KafkaTopicState) -> KafkaTopicState:
    """The topic as far as the table goes, where the table is ahead of `source` and the topic goes so far now.

    Not further: what came after the table was loaded is no record that it lacks.
    """
    if (source.cluster_id, source.topic_id) != (now.cluster_id, now.topic_id):
        return source
    watermarks, stable = dict(source.watermarks), dict(source.stable)
    for partition, (low, high) in now.watermarks.items():
        low_before, end = source.watermarks.get(partition, (low, low))
        table_end = held[partition].after if held.get(partition) else 0
        if table_end > end:
            watermarks[partition] = low_before, max(end, min(high, table_end))
            stable[partition] = now.readable_end(partition)
    return replace(source, watermarks=watermarks, stable=stable)


def _read(con: duckdb.DuckDBPyConnection, bronze: IcebergTable, account: Account | None) -> _Rows:
    """Every row once, all columns if there is a digest to compare with, else the places."""
    places, digest, schema = Places(), Digest(), bronze.schema()
    columns = "*" if account else "kafka_partition, kafka_offset"
    for batch in con.sql(f"SELECT {columns} FROM bronze").to_arrow_reader(BATCH_ROWS):
        places.add(*(batch[name].to_numpy() for name in ("kafka_partition", "kafka_offset")))
        if account:
            digest += digest_of(account.counted(pa.Table.from_batches([batch])), schema)
    return _Rows(places.ranges(), places.rows, digest)


def _noted(con: duckdb.DuckDBPyConnection, lake: Lake, topic: str) -> Mapping[int, Ranges]:
    """Places that erasures noted. One that was cut off may have noted a place whose row is still there: that is bronze's."""
    places = Places()
    if lake.has(ERASED.name):
        expose(con, lake.table(ERASED.name), "noted")
        noted = con.sql("SELECT kafka_partition, kafka_offset FROM noted WHERE topic = $topic", params={"topic": topic})
        for batch in noted.to_arrow_reader(BATCH_ROWS):
            places.add(batch["kafka_partition"].to_numpy(), batch["kafka_offset"].to_numpy())
    return places.ranges()


def _compare_digest(findings: Findings, account: Account | None, marker: IngestMarker | None, rows: _Rows) -> None:
    if marker is None and rows.rows:
        findings.add("bronze: it has rows, but its property that says up to which offsets is gone, so no ingest goes on", RESTORE)
    if account is None:
        if rows.rows:
            writer = "Spark" if marker and marker.engine is IngestEngine.SPARK else "an earlier version"
            findings.notes.append(
                f"bronze was filled by {writer}, which keeps no digest: whether rows were altered, or are missing where Kafka no "
                "longer has them, can't be checked"
            )
        return
    if account.since is not None:
        findings.notes.append(
            "bronze was begun by an earlier version, which kept no digest: whether its rows were altered, or are missing where "
            "Kafka no longer has them, can't be checked; of those ingested since it was"
        )
    surplus = rows.digest.rows - account.digest.rows
    if surplus:
        findings.add(f"bronze: {abs(surplus)} rows {'more' if surplus > 0 else 'fewer'} than its commits wrote", RESTORE)
    elif rows.digest != account.digest:
        findings.add("bronze: as many rows as its commits wrote, but not the same: some were altered or exchanged", RESTORE)


def _compare_places(
    findings: Findings,
    source: KafkaTopicState,
    marker: IngestMarker | None,
    account: Account | None,
    rows: _Rows,
    erased: Mapping[int, Ranges],
    look_up: LookUp,
) -> None:
    missing, removed = dict[int, Ranges](), dict[int, Ranges]()
    for partition, (low, high) in sorted(source.watermarks.items()):
        held, where = rows.held.get(partition, Ranges()), f"partition {partition}"
        known = held | erased.get(partition, Ranges())
        if doubled := rows.rows.get(partition, 0) - held.size:
            findings.add(f"{where}: {doubled} records are in the table twice", RESTORE)
        if held and held.after > high:
            findings.add(f"{where}: the table holds offsets up to {held.after - 1}, Kafka ends at {high - 1}", RESTORE)
        accepted = Ranges.of((gap.first, gap.after) for gap in (marker.gaps if marker else ()) if gap.partition == partition)
        findings.accepted += accepted.size
        ingested = marker.next.get(partition, 0) if marker and marker.engine is IngestEngine.NATIVE else low
        absent = Ranges.of([(min(low, ingested, known.first if known else low), high)]) - known - accepted
        readable = source.readable_end(partition)
        if left := absent.between(max(low, readable), high):
            findings.notes.append(
                f"{where}: offsets from {left.first} on follow a transaction that is still open, so they can't be read"
            )
        if asked := absent.between(low, readable):
            missing[partition] = asked
        if unread := absent.between(ingested, low):
            some = f"offsets {unread.first} to {unread.after - 1} were deleted by retention before they were ingested"
            findings.add(f"{where}: {some}", ACCEPT)
        if below := absent.between(0, min(low, ingested)) - _covered(account, partition, low):
            removed[partition] = below
    _compare_missing(findings, source, marker, rows, missing, look_up)
    nothing_left = all(low == high for low, high in source.watermarks.values())
    _compare_removed(findings, removed, can_tell=not (nothing_left and marker and marker.engine is IngestEngine.SPARK))
    for partition in sorted(rows.rows.keys() - source.watermarks.keys()):
        findings.add(
            f"partition {partition}: in the table, but not in the topic, whose log went back to before it was added", RESTORE_LOG
        )


def _covered(account: Account | None, partition: int, low: int) -> Ranges:
    """Offsets below Kafka's lowest of which the digest says whether their rows are all there."""
    if account is None:
        return Ranges()
    return Ranges.of([((account.since or {}).get(partition, 0), low)])


def _compare_missing(
    findings: Findings,
    source: KafkaTopicState,
    marker: IngestMarker | None,
    rows: _Rows,
    missing: Mapping[int, Ranges],
    look_up: LookUp,
) -> None:
    """Offsets between Kafka's watermarks that bronze lacks: Kafka knows which of them have a record."""
    for partition, looked in sorted(look_up(source.topic, missing).items() if missing else ()):
        asked, found = missing[partition], looked.found
        findings.no_record += asked.between(0, looked.up_to).size - found.size
        at_least = "at least " if looked.up_to < asked.after else ""
        held = rows.held.get(partition)
        ingested = held.after if held else 0
        if marker and marker.engine is IngestEngine.NATIVE:
            ingested = marker.next.get(partition, ingested)
        if lost := found.between(0, ingested):
            some = f"{at_least}{lost.size} records of Kafka are missing, the first at offset {lost.first}"
            findings.add(f"partition {partition}: {some}", RESTORE)
        if waiting := found.between(ingested, looked.up_to):
            some = f"{at_least}{waiting.size} records of Kafka, from offset {waiting.first} on, are not in the table yet"
            findings.add(f"partition {partition}: {some}", INGEST)


def _compare_removed(findings: Findings, removed: Mapping[int, Ranges], *, can_tell: bool) -> None:
    """Offsets that bronze lacks and neither Kafka nor a digest knows of: records, unless the topic has offsets without one.

    can_tell: False where that can't be known: Spark counts no rows, and nothing of the topic is left in Kafka.
    """
    for partition, ranges in sorted(removed.items()):
        some = f"partition {partition}: {ranges.size} offsets from {ranges.first} to {ranges.after - 1} are missing"
        if findings.no_record or not can_tell:
            findings.notes.append(f"{some}; whether they had records can't be checked, as Kafka no longer has them")
        else:
            findings.add(f"{some}, and Kafka no longer has them", RESTORE)
