"""Files keep telling readers the truth about their partition, whatever another tool makes of a table's partition spec."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.expressions import And, GreaterThanOrEqual, LessThan
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.update.spec import UpdateSpec
from pyiceberg.transforms import BucketTransform, DayTransform, IdentityTransform, MonthTransform
from pyiceberg.typedef import Record
from pyiceberg.utils.datetime import datetime_to_micros

from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import GPS, VEHICLE, Event
from fleetlake.contracts.tables import all_tables, bronze_of
from fleetlake.lake.append import SMALL_MANIFESTS
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.lake.commits import commit
from fleetlake.lake.partitions import ALL_DAYS, NoDaySpec, Partition, days_of
from fleetlake.lake.write import describe_file, write_files
from fleetlake.maintain.compaction import CompactionPolicy, compact
from fleetlake.maintain.erase import erase_device
from fleetlake.transform.runner import run_transform
from fleetlake.transform.settings import TransformSettings
from fleetlake.workflows.erase import erase_wiring

T0 = datetime(2026, 11, 27, 8, tzinfo=UTC)
NAME = bronze_of(GPS).name
SETTINGS = TransformSettings(threads=1)


def to_month(update: UpdateSpec) -> None:
    update.remove_field("event_time_day")
    update.add_field("event_time", MonthTransform(), "event_month")


def with_bucket(update: UpdateSpec) -> None:
    update.add_field("device_id", BucketTransform(4), "device_bucket")


def with_bucket_only(update: UpdateSpec) -> None:
    update.remove_field("event_time_day")
    update.add_field("device_id", BucketTransform(4), "device_bucket")


def to_none(update: UpdateSpec) -> None:
    update.remove_field("event_time_day")


def to_device(update: UpdateSpec) -> None:
    update.add_field("device_id", IdentityTransform(), "device")


Change = Callable[[UpdateSpec], None]
CHANGES = pytest.mark.parametrize("change", [to_month, with_bucket, with_bucket_only, to_none, to_device])


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    uri, warehouse = f"sqlite:///{tmp_path}/catalog.db", f"file://{tmp_path}/warehouse"
    made = open_lake(LakeSettings("local", {"type": "sql", "uri": uri, "warehouse": warehouse}))
    made.ensure(all_tables())
    yield made
    made.close()


def rows(first: int, after: int, event: Event = GPS) -> pa.Table:
    """One record each six hours, of two devices in turn."""
    made = [
        {
            "kafka_partition": 0, "kafka_offset": at, "ingested_at": T0 + timedelta(days=30, seconds=at), "event_id": f"e{at:05}",
            "device_id": f"quokka-{at % 2}", "event_time": T0 + timedelta(hours=6 * at), "speed_kmh": 50.0, "latitude": 52.0,
            "longitude": -1.0,
        }
        for at in range(first, after)
    ]  # fmt: skip
    schema = table_schema(bronze_of(event))
    return pa.Table.from_pylist([{name: one.get(name) for name in schema.names} for one in made], schema=schema)


def add_as_others_do(lake: Lake, rows: pa.Table) -> None:
    """Rows under the table's current spec, whatever it is; PyIceberg itself writes few transforms without more installed."""
    table, contents = lake.table(NAME), defaultdict[tuple[Any, ...], list[int]](list)
    schema, spec = table.schema(), table.spec()
    for number, row in enumerate(rows.to_pylist()):
        sources = [schema.find_field(field.source_id) for field in spec.fields]
        values = [datetime_to_micros(row[one.name]) if isinstance(row[one.name], datetime) else row[one.name] for one in sources]
        transforms = [field.transform.transform(one.field_type) for field, one in zip(spec.fields, sources, strict=True)]
        contents[tuple(transform(value) for transform, value in zip(transforms, values, strict=True))].append(number)
    files = []
    for values, numbers in contents.items():
        location = f"{table.location()}/data/others/{uuid.uuid4().hex}.parquet"
        output = table.io.new_output(location)
        with output.create() as stream:
            pq.write_table(rows.take(numbers).select(schema.as_arrow().names).cast(schema.as_arrow()), stream)
        footer = pq.read_metadata(location.removeprefix("file://"))
        files.append(describe_file(table, location, Partition(spec.spec_id, Record(*values)), footer, len(output)))
    commit(table, added=files, properties={})


def land(lake: Lake, first: int, after: int, event: Event = GPS) -> None:
    table = lake.table(bronze_of(event).name)
    commit(table, added=write_files(table, rows(first, after, event), folder=f"{first}-{after}"), properties={})


def evolve(lake: Lake, name: str, change: Change) -> IcebergTable:
    table = lake.table(name)
    with table.update_spec() as update:
        change(update)
    return lake.table(name)


def pruned(table: IcebergTable, day: datetime, column: str = "event_time") -> int:
    """How many rows of a day a reader finds that leaves out files by their partition."""
    day = day.replace(hour=0)
    within: Any = And(
        GreaterThanOrEqual(column, day.isoformat()),  # type: ignore[call-arg,arg-type]
        LessThan(column, (day + timedelta(days=1)).isoformat()),  # type: ignore[call-arg,arg-type]
    )
    return table.scan(row_filter=within).to_arrow().num_rows


def of_device(table: IcebergTable, device: str) -> int:
    return table.scan(row_filter=f"device_id = '{device}'").to_arrow().num_rows


@CHANGES
def test_what_is_written_after_a_change_is_found_by_readers_that_prune(lake: Lake, change: Change) -> None:
    land(lake, 0, 8)
    evolve(lake, NAME, change)
    land(lake, 8, 16)
    table = lake.table(NAME)
    assert [pruned(table, T0 + timedelta(days=day)) for day in range(5)] == [3, 4, 4, 4, 1]
    assert [of_device(table, f"quokka-{device}") for device in range(2)] == [8, 8]


@CHANGES
def test_transform_compaction_and_erasure_go_on(lake: Lake, change: Change) -> None:
    """With files of both specs: other tools write those of the new one."""
    land(lake, 0, 8)
    run_transform(lake, SETTINGS)
    for name in (NAME, "silver.gps", "silver.positions"):
        evolve(lake, name, change)
    add_as_others_do(lake, rows(8, 12))
    land(lake, 12, 16)
    run_transform(lake, SETTINGS)
    for at in range(16, 20):
        land(lake, at, at + 1)
    for name in lake.names():
        compact(lake, name, CompactionPolicy(), wait=lambda attempt: None)
    run_transform(lake, SETTINGS)
    for name in (NAME, "silver.gps", "silver.positions"):
        table = lake.table(name)
        assert [pruned(table, T0 + timedelta(days=day)) for day in range(6)] == [3, 4, 4, 4, 4, 1], name
        assert [of_device(table, f"quokka-{device}") for device in range(2)] == [10, 10], name
    specs = {task.file.file_path: task.file.spec_id for task in lake.table(NAME).scan().plan_files()}
    assert erase_device(lake, "quokka-1", erase_wiring()).remaining == ()
    run_transform(lake, SETTINGS)
    for name in (NAME, "silver.gps", "silver.positions"):
        table = lake.table(name)
        assert [of_device(table, f"quokka-{device}") for device in range(2)] == [10, 0], name
        assert sum(pruned(table, T0 + timedelta(days=day)) for day in range(6)) == 10, name
    assert set(specs.values()) == {task.file.spec_id for task in lake.table(NAME).scan().plan_files()} == {0, 1}


def test_gold_is_what_a_full_build_gives(lake: Lake) -> None:
    for name in lake.names():
        if name.startswith(("silver.", "gold.")):
            table = lake.table(name)
            evolve(lake, name, lambda update, table=table: update.remove_field(table.spec().fields[0].name))  # type: ignore[misc]
    for first in range(0, 40, 10):
        land(lake, first, first + 10)
        land(lake, first, first + 10, VEHICLE)
        run_transform(lake, SETTINGS)
    made = {name: contents(lake, name) for name in lake.names()}
    assert made["gold.trips"] or made["gold.stops"]
    run_transform(lake, SETTINGS, full=True)
    assert {name: contents(lake, name) for name in lake.names()} == made


def contents(lake: Lake, name: str) -> list[str]:
    return sorted(map(repr, lake.table(name).scan().to_arrow().to_pylist()))


def test_a_table_that_never_was_by_day_is_refused_before_anything_is_written(lake: Lake) -> None:
    table = made_by_month(lake)
    with pytest.raises(NoDaySpec, match=r"bronze\.gps.*month\(event_time\).*day\(event_time\)"):
        write_files(table, rows(0, 8), folder="new")
    assert not list(Path(table.location().removeprefix("file://")).rglob("*.parquet"))
    left = compact(lake, NAME, CompactionPolicy(), wait=lambda attempt: None)
    assert "not partitioned by the day of event_time" in left.left_alone


def test_a_device_is_taken_out_of_a_table_that_never_was_by_day(lake: Lake) -> None:
    made_by_month(lake)
    add_as_others_do(lake, rows(0, 8))
    assert erase_device(lake, "quokka-1", erase_wiring()).remaining == ()
    assert [of_device(lake.table(NAME), f"quokka-{device}") for device in range(2)] == [4, 0]


def made_by_month(lake: Lake) -> IcebergTable:
    schema = lake.table(NAME).schema()
    lake.catalog.drop_table(NAME)
    lake.catalog.create_table(NAME, schema)
    return evolve(lake, NAME, lambda update: update.add_field("event_time", MonthTransform(), "event_month"))


def test_a_day_of_another_column_is_not_taken_for_the_contracts(lake: Lake) -> None:
    land(lake, 0, 4)

    def to_arrival(update: UpdateSpec) -> None:
        update.remove_field("event_time_day")
        update.add_field("ingested_at", DayTransform(), "arrival_day")

    evolve(lake, NAME, to_arrival)
    land(lake, 4, 8)
    assert [pruned(lake.table(NAME), T0 + timedelta(days=day)) for day in range(3)] == [3, 4, 1]
    assert pruned(lake.table(NAME), T0 + timedelta(days=30), "ingested_at") == 8


def test_manifests_of_a_former_spec_are_put_together_too(lake: Lake) -> None:
    evolve(lake, NAME, to_month)
    for at in range(SMALL_MANIFESTS + 2):
        land(lake, at, at + 1)
    table = lake.table(NAME)
    snapshot = table.current_snapshot()
    assert snapshot
    assert len(snapshot.manifests(table.io)) < SMALL_MANIFESTS
    assert table.scan().to_arrow().num_rows == SMALL_MANIFESTS + 2


@pytest.mark.parametrize("mode", ["full", "none"])
def test_the_days_of_a_file_of_another_spec_are_those_of_its_rows(lake: Lake, mode: str) -> None:
    table = evolve(lake, NAME, to_none)
    with table.transaction() as change:
        change.set_properties({"write.metadata.metrics.default": mode})
    table = lake.table(NAME)
    table.append(rows(0, 8).cast(table.schema().as_arrow()))
    ((first, last),) = (days_of(table, task.file) or ALL_DAYS for task in lake.table(NAME).scan().plan_files())
    expected = ((T0 - datetime(1970, 1, 1, tzinfo=UTC)).days, (T0 + timedelta(hours=42) - datetime(1970, 1, 1, tzinfo=UTC)).days)
    assert (first, last) == (expected if mode == "full" else ALL_DAYS)
