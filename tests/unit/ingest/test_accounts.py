"""The digest beside the rows: right after every commit, whatever came in between, and begun where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import VEHICLE
from fleetlake.contracts.tables import bronze_of
from fleetlake.ingest.accounts import account_of
from fleetlake.ingest.offsets import KafkaTopicState
from fleetlake.ingest.table_writer import TableWriter
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.lake.commits import commit
from fleetlake.lake.digest import PROPERTY, adjusted, change_between, digest_of
from fleetlake.lake.write import write_files

TABLE = bronze_of(VEHICLE)
SOURCE = KafkaTopicState("vehicle_data", "cluster", "topic", {0: (0, 1000), 1: (0, 0)})


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    uri = {"type": "sql", "uri": f"sqlite:///{tmp_path}/c.db", "warehouse": f"file://{tmp_path}/w"}
    made = open_lake(LakeSettings("test", uri))
    made.ensure([TABLE])
    yield made
    made.close()


def rows(first: int, after: int) -> pa.Table:
    columns = {name: [None] * (after - first) for name in table_schema(TABLE).names}
    return pa.table(
        columns | {"kafka_partition": [0] * (after - first), "kafka_offset": range(first, after)}, schema=table_schema(TABLE)
    )


def writer(lake: Lake) -> TableWriter:
    return TableWriter(lake, TABLE.name, job="test", wait=lambda attempt: None)


def require_right(lake: Lake) -> None:
    table = lake.table(TABLE.name)
    account = account_of(table)
    assert account is not None
    assert account.digest == digest_of(account.counted(table.scan().to_arrow()), table.schema())


def test_each_commit_and_take_over_carries_it_on(lake: Lake) -> None:
    for first in (0, 6):
        one = writer(lake)
        one.take_over(SOURCE)
        require_right(lake)
        one.append([rows(first, first + 2), rows(first + 2, first + 5)], {0: first + 5}, 0)
        require_right(lake)
        one.append([rows(first + 5, first + 6)], {0: first + 6}, 0)
        require_right(lake)
    account = account_of(lake.table(TABLE.name))
    assert account is not None
    assert (account.digest.rows, account.since) == (12, None)


def test_rows_that_others_take_out_while_the_ingest_runs_stay_out(lake: Lake) -> None:
    one = writer(lake)
    one.take_over(SOURCE)
    one.append([rows(0, 5)], {0: 5}, 0)
    table = lake.table(TABLE.name)
    properties = adjusted(table.properties, [change_between(table.properties, table.schema(), rows(0, 5), rows(1, 5))])
    removed = [task.file for task in table.scan().plan_files()]
    commit(table, added=write_files(table, rows(1, 5), folder="erased"), removed=removed, properties=properties)
    one.append([rows(5, 7)], {0: 7}, 0)
    require_right(lake)


def test_a_table_of_a_version_that_kept_none(lake: Lake) -> None:
    old = writer(lake)
    old.take_over(SOURCE)
    old.append([rows(0, 5)], {0: 5}, 0)
    with lake.table(TABLE.name).transaction() as transaction:
        transaction.remove_properties(PROPERTY)
    commit(lake.table(TABLE.name), properties={"maintenance": "ran"})  # so that the writer loads the table again
    old.append([rows(5, 6)], {0: 6}, 0)  # without one to go on with it keeps none
    assert account_of(lake.table(TABLE.name)) is None
    one = writer(lake)
    one.take_over(SOURCE)
    one.append([rows(6, 9)], {0: 9}, 0)
    account = account_of(lake.table(TABLE.name))
    assert account is not None
    assert (account.digest.rows, account.since) == (3, {0: 6, 1: 0})
    require_right(lake)
    two = writer(lake)
    two.take_over(SOURCE)
    two.append([rows(9, 10)], {0: 10}, 0)
    require_right(lake)


def test_what_an_older_version_wrote_in_between_is_not_taken_for_counted(lake: Lake) -> None:
    one = writer(lake)
    one.take_over(SOURCE)
    one.append([rows(0, 5)], {0: 5}, 0)
    table = lake.table(TABLE.name)
    marker = replace(one.marker, commit_id="commit of an old version", start={0: 5}, next={0: 6, 1: 0})
    commit(table, added=write_files(table, rows(5, 6), folder="old"), properties=marker.properties())
    assert account_of(lake.table(TABLE.name)) is None
    writer(lake).take_over(SOURCE)
    account = account_of(lake.table(TABLE.name))
    assert account is not None
    assert account.since is not None
    require_right(lake)
