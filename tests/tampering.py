"""Small lakes that are tampered with, to see whether verify notices: `python -m tests.tampering --seeds 1000`.

A lake is made once for LAKE_SEEDS seeds, by the writer of the native ingest, erasure, compaction and silver's transform. Each seed
tampers with it in one way, and takes that back; every fourth looks at it untouched before.
What Kafka has is drawn for each seed: retention may have removed all or nothing.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.manifest import DataFile

from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import GPS
from fleetlake.contracts.tables import bronze_of, silver_of
from fleetlake.foundation.errors import FleetlakeError
from fleetlake.ingest.offsets import KafkaTopicState
from fleetlake.ingest.presence import Looked
from fleetlake.ingest.ranges import Ranges
from fleetlake.ingest.table_writer import TableWriter
from fleetlake.ingest.verify import CheckState, TopicCheck, check_topic
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.lake.commits import commit
from fleetlake.lake.places import local_path
from fleetlake.lake.write import write_files
from fleetlake.maintain.compaction import CompactionPolicy, compact
from fleetlake.maintain.erase import erase_device
from fleetlake.transform.marker import read_marker
from fleetlake.transform.native import native_engine
from fleetlake.transform.settings import TransformSettings
from fleetlake.transform.silver import refresh_silver
from fleetlake.workflows.erase import erase_wiring

LAKE_SEEDS, UNTOUCHED_EVERY = 50, 4
BRONZE, SILVER = bronze_of(GPS), silver_of(GPS)
T0 = datetime(2026, 1, 1, 22, tzinfo=UTC)
PARTITIONS = (0, 1)
ERASED_DEVICE = "veh-erased"


@dataclass(slots=True)
class Made:
    """A lake and the topic it was made from. records: of each partition, the offsets that are records. what: how it was made."""

    folder: Path
    lake: Lake
    records: dict[int, set[int]] = field(default_factory=lambda: {partition: set() for partition in PARTITIONS})
    ends: dict[int, int] = field(default_factory=lambda: dict.fromkeys(PARTITIONS, 0))
    lows: dict[int, int] = field(default_factory=lambda: dict.fromkeys(PARTITIONS, 0))
    what: list[str] = field(default_factory=list)

    def source(self, lows: Mapping[int, int]) -> KafkaTopicState:
        return KafkaTopicState(GPS.topic, "cluster", "topic", {p: (lows[p], self.ends[p]) for p in PARTITIONS})

    def check(self, lows: Mapping[int, int]) -> TopicCheck:
        def look_up(topic: str, asked: Mapping[int, Ranges]) -> Mapping[int, Looked]:
            for partition, ranges in asked.items():
                assert lows[partition] <= ranges.first
                assert ranges.after <= self.ends[partition]
            found = {
                p: Ranges.of((offset, offset + 1) for a, b in ranges for offset in range(a, b) if offset in self.records[p])
                for p, ranges in asked.items()
            }
            return {p: Looked(ranges, asked[p].after) for p, ranges in found.items()}

        marker = read_marker(self.lake.table(SILVER.name))
        read = marker.sources[BRONZE.name].offsets if marker else None
        return check_topic(self.lake, GPS, self.source(lows), read, look_up)


def make_lake(folder: Path, seed: int) -> Made:
    """A lake of some hundred rows in some commits; whether with gaps, holes, an erasure, a compaction and silver is drawn."""
    draw = random.Random(f"lake {seed}")
    uri = {"type": "sql", "uri": f"sqlite:///{folder}/catalog.db", "warehouse": f"file://{folder}/warehouse"}
    made = Made(folder, open_lake(LakeSettings("test", uri)))
    made.lake.ensure([BRONZE, SILVER])
    has_gap, has_holes, has_silver = draw.random() < 0.6, draw.random() < 0.5, draw.random() < 0.5
    gap_at = draw.randrange(1, 4) if has_gap else None
    made.what += [word for word, is_so in (("gap", has_gap), ("holes", has_holes), ("silver", has_silver)) if is_so]
    for number in range(draw.randrange(4, 6)):
        if number == gap_at:
            partition = draw.choice(PARTITIONS)
            made.ends[partition] += draw.randrange(1, 30)
            made.lows[partition] = made.ends[partition]
        _ingest(made, draw, has_holes=has_holes)
        if number == 2 and draw.random() < 0.5:
            made.what.append("compacted")
            compact(made.lake, BRONZE.name, CompactionPolicy(), wait=lambda attempt: None)
    if draw.random() < 0.6:
        made.what.append("erased")
        erase_device(made.lake, ERASED_DEVICE, erase_wiring())
    if has_silver:
        settings = TransformSettings(threads=1)
        refresh_silver(made.lake, GPS, settings.thresholds, lambda: native_engine(settings), full=False)
    return made


def _ingest(made: Made, draw: random.Random, *, has_holes: bool) -> None:
    writer = TableWriter(made.lake, BRONZE.name, job="test", wait=lambda attempt: None)
    position = dict(writer.take_over(made.source(made.lows), accept_gaps=True))
    rows = []
    for partition in PARTITIONS:
        for _ in range(draw.randrange(10, 40)):
            if has_holes and draw.random() < 0.1:
                position[partition] += draw.choice((1, 1, 1, 7))
            rows.append(_row(draw, partition, position[partition]))
            made.records[partition].add(position[partition])
            position[partition] += 1
    made.ends = dict(position)
    schema = table_schema(BRONZE)
    writer.append([pa.Table.from_pylist(rows, schema=schema)], position, 0)


def _row(draw: random.Random, partition: int, offset: int) -> dict[str, Any]:
    place = {"kafka_partition": partition, "kafka_offset": offset, "kafka_timestamp": T0, "ingested_at": T0 + timedelta(hours=1)}
    if draw.random() < 0.1:
        return place | {"reject_reason": "not_json: -: -", "payload": draw.randbytes(draw.randrange(30))}
    return place | {
        "event_id": f"{partition}/{offset // 2 if draw.random() < 0.1 else offset}",
        "device_id": ERASED_DEVICE if draw.random() < 0.1 else f"veh-{draw.randrange(9)}",
        "event_time": T0 + timedelta(seconds=draw.randrange(20_000)), "speed_kmh": draw.choice([None, 0.0, -0.0, draw.random()]),
        "latitude": 50 + draw.random(), "longitude": draw.random(), "heading_deg": float(draw.randrange(360)),
    }  # fmt: skip


def files_of(lake: Lake, name: str) -> list[DataFile]:
    return [task.file for task in lake.table(name).scan().plan_files()]


def read(file: DataFile) -> pa.Table:
    return pq.read_table(local_path(file.file_path), partitioning=None)


def replace_file(lake: Lake, name: str, file: DataFile, rows: pa.Table) -> None:
    """Puts `rows` in the place of the file's, by a commit that knows nothing of any digest."""
    table = lake.table(name)
    added = (
        write_files(table, rows, folder=f"tampered-{table.metadata.last_sequence_number}-{random.random()}") if len(rows) else []
    )
    commit(table, added=added, removed=[file], properties={})


def delete_row(rows: pa.Table, draw: random.Random) -> pa.Table:
    at = draw.randrange(len(rows))
    return pa.concat_tables([rows.slice(0, at), rows.slice(at + 1)])


def double_row(rows: pa.Table, draw: random.Random) -> pa.Table:
    at = draw.randrange(len(rows))
    return pa.concat_tables([rows, rows.slice(at, 1)])


def replace_row_by_copy(rows: pa.Table, draw: random.Random) -> pa.Table:
    return double_row(delete_row(rows, draw), draw) if len(rows) > 1 else delete_row(rows, draw)


def alter_value(rows: pa.Table, draw: random.Random) -> pa.Table:
    """Another value in a column, or null for one, or one for null."""
    at, name = draw.randrange(len(rows)), draw.choice(rows.column_names)
    values = rows[name].to_pylist()
    values[at] = _another(values[at], rows.schema.field(name), draw)
    return rows.set_column(rows.column_names.index(name), rows.schema.field(name), pa.array(values, rows.schema.field(name).type))


def _another(value: Any, field: pa.Field, draw: random.Random) -> Any:
    if value is not None and field.nullable and draw.random() < 0.2:
        return None
    if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
        return f"{value or ''}x"
    if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
        return (value or b"") + b"\0"
    if pa.types.is_timestamp(field.type):
        return (value or T0) + timedelta(microseconds=1)
    if pa.types.is_boolean(field.type):
        return not value
    if pa.types.is_floating(field.type):
        return -0.0 if value == 0 and not str(value).startswith("-") else (value or 0.0) + draw.choice((1e-9, 1.0))
    return (value or 0) + 1


def exchange_values(rows: pa.Table, draw: random.Random) -> pa.Table:
    """A column's values of two rows, each in the other's; where they are all the same, one is altered."""
    name = draw.choice(["event_id", "device_id", "latitude", "event_time", "kafka_offset"])
    values = rows[name].to_pylist()
    different = [(i, j) for i in range(len(values)) for j in range(i) if values[i] != values[j]]
    if not different:
        return alter_value(rows, draw)
    i, j = draw.choice(different)
    values[i], values[j] = values[j], values[i]
    return rows.set_column(rows.column_names.index(name), rows.schema.field(name), pa.array(values, rows.schema.field(name).type))


ROW_CHANGES: Mapping[str, Callable[[pa.Table, random.Random], pa.Table]] = {
    "a row deleted": delete_row,
    "a row doubled": double_row,
    "a row replaced by a copy of another": replace_row_by_copy,
    "a value altered": alter_value,
    "values of two rows exchanged": exchange_values,
    "a file deleted": lambda rows, draw: rows.slice(0, 0),
    "a file doubled": lambda rows, draw: pa.concat_tables([rows, rows]),
    "every row of a file altered": lambda rows, draw: alter_all(rows),
}
FILE_CHANGES = ("a file removed from the disk", "a file cut", "a byte of a file changed", "a file replaced by another")


def alter_all(rows: pa.Table) -> pa.Table:
    altered = pa.array([f"{value or ''}." for value in rows["device_id"].to_pylist()], rows.schema.field("device_id").type)
    return rows.set_column(rows.column_names.index("device_id"), rows.schema.field("device_id"), altered)


def tamper(made: Made, draw: random.Random) -> str:
    """Tampers with the lake in one way, and returns which."""
    name = SILVER.name if "silver" in made.what and draw.random() < 0.2 else BRONZE.name
    files = sorted(files_of(made.lake, name), key=lambda file: (repr(file.lower_bounds), repr(file.upper_bounds)))
    file = draw.choice(files)
    what = draw.choice([*ROW_CHANGES, *FILE_CHANGES])
    if what in ROW_CHANGES:
        rows = read(file)
        if name == SILVER.name and what in ("a value altered", "every row of a file altered", "values of two rows exchanged"):
            kept = rows.select([column for column in rows.column_names if column not in ("is_late", "late_by_s")])
            changed = ROW_CHANGES[what](kept, draw)
            changed = changed.append_column("is_late", rows["is_late"]).append_column("late_by_s", rows["late_by_s"])
        else:
            changed = ROW_CHANGES[what](rows, draw)
        replace_file(made.lake, name, file, changed)
    else:
        _damage(file, files, what, draw)
    return f"{name}: {what}"


def _damage(file: DataFile, files: list[DataFile], what: str, draw: random.Random) -> None:
    path = Path(local_path(file.file_path) or "")
    content = path.read_bytes()
    if what == FILE_CHANGES[0]:
        path.unlink()
    elif what == FILE_CHANGES[1]:
        path.write_bytes(content[: draw.randrange(len(content))])
    elif what == FILE_CHANGES[3] and len(files) > 1:
        other = draw.choice([one for one in files if one is not file])
        path.write_bytes(Path(local_path(other.file_path) or "").read_bytes())
    else:
        before = _readable(path)
        while _readable(path) == before:  # a byte that no reader looks at alters nothing
            at = draw.randrange(len(content))
            path.write_bytes(content[:at] + bytes([content[at] ^ draw.randrange(1, 256)]) + content[at + 1 :])


def _readable(path: Path) -> object:
    """The rows as DuckDB reads them, by the field ids of the columns, or why it can't."""
    try:
        with duckdb.connect() as con:
            rows = repr(con.execute("SELECT * FROM read_parquet(?)", [str(path)]).fetchall())
            ids = con.execute("SELECT field_id, type, converted_type FROM parquet_schema(?)", [str(path)]).fetchall()
            return rows, repr(ids)
    except (duckdb.Error, UnicodeDecodeError):
        return None


@contextmanager
def taken_back(made: Made) -> Iterator[None]:
    """The lake is afterwards what it was before: the tables' metadata, and every data file."""
    files = [Path(local_path(file.file_path) or "") for name in (BRONZE.name, SILVER.name) for file in files_of(made.lake, name)]
    contents = {path: path.read_bytes() for path in files}
    with closing(sqlite3.connect(made.folder / "catalog.db")) as con:
        tables = con.execute(
            "SELECT metadata_location, previous_metadata_location, table_name, table_namespace FROM iceberg_tables"
        )
        stored = tables.fetchall()
    try:
        yield
    finally:
        for path, content in contents.items():
            path.write_bytes(content)
        with closing(sqlite3.connect(made.folder / "catalog.db")) as con, con:
            con.executemany(
                "UPDATE iceberg_tables SET metadata_location = ?, previous_metadata_location = ?"
                " WHERE table_name = ? AND table_namespace = ?",
                stored,
            )


def noticed(made: Made, lows: Mapping[int, int]) -> tuple[bool, str]:
    """Whether verify says that something is wrong, and its words."""
    try:
        check = made.check(lows)
    except FleetlakeError as error:
        return True, str(error)
    except Exception as error:  # verify is to say what is wrong, in words
        return False, f"{type(error).__name__}: {error}"
    return check.state is CheckState.NOT_EQUAL, "; ".join((*check.problems, *check.notes))


def play(made: Made, seed: int) -> tuple[str, str]:
    """What was done, and what is wrong with what verify says of it, if anything."""
    draw = random.Random(f"tampering {seed}")
    lows = {p: draw.choice((made.lows[p], draw.randint(made.lows[p], made.ends[p]), made.ends[p])) for p in PARTITIONS}
    if seed % UNTOUCHED_EVERY == 0:
        alarmed, words = noticed(made, lows)
        if alarmed:
            return "nothing", f"false alarm, Kafka from {lows}: {words}"
    with taken_back(made):
        what = tamper(made, draw)
        alarmed, words = noticed(made, lows)
    return what, "" if alarmed else f"not noticed, Kafka from {lows}: {what}: {words}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.tampering", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    counts, wrong = Counter[str](), 0
    for lake_seed in range(arguments.first // LAKE_SEEDS, (arguments.first + arguments.seeds - 1) // LAKE_SEEDS + 1):
        with tempfile.TemporaryDirectory(prefix="fleetlake-tampering-") as folder:
            made = make_lake(Path(folder), lake_seed)
            first = max(arguments.first, lake_seed * LAKE_SEEDS)
            for seed in range(first, min(arguments.first + arguments.seeds, (lake_seed + 1) * LAKE_SEEDS)):
                what, problem = play(made, seed)
                counts[what] += 1
                if problem:
                    wrong += 1
                    print(f"seed {seed} ({', '.join(made.what)}): {problem}", flush=True)
            made.lake.close()
    for what, count in sorted(counts.items()):
        print(f"{count:>5}  {what}")
    print(f"{counts.total()} seeds, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
