"""Rows that landed last, compared with the records at their places."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.command_line import GOOD

from fleetlake.broker.records_at import FoundRecord
from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import GPS
from fleetlake.contracts.tables import bronze_of
from fleetlake.foundation.errors import DataLoss
from fleetlake.ingest.landed import LandedRow, find_replaced, is_of, last_rows, require_landed_records
from fleetlake.ingest.offsets import Offsets
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.lake.commits import commit
from fleetlake.lake.write import write_files

T0_MS = 1_767_600_000_000
TABLE = bronze_of(GPS)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    made = open_lake(
        LakeSettings("local", {"type": "sql", "uri": f"sqlite:///{tmp_path}/c.db", "warehouse": f"file://{tmp_path}/w"})
    )
    made.ensure([TABLE])
    yield made
    made.close()


def value_at(offset: int) -> bytes:
    return b"{broken" if offset % 4 == 3 else json.dumps(GOOD | {"id": f"e{offset}", "deviceId": "v", "heading": 1.0}).encode()


def land(lake: Lake, batch: int, offsets: range) -> None:
    """A commit with the records at these offsets of partitions 0 and 1."""
    rows: list[dict[str, Any]] = []
    for partition in (0, 1):
        for offset in offsets:
            bad = offset % 4 == 3
            rows.append(
                {
                    "kafka_partition": partition, "kafka_offset": offset, "kafka_timestamp": (T0_MS + offset) * 1000,
                    "event_id": None if bad else f"e{offset}", "payload": value_at(offset) if bad else None,
                    "reject_reason": "not_json: -: x" if bad else None, "ingested_at": T0_MS * 1000 + batch,
                }
            )  # fmt: skip
    schema = table_schema(TABLE)
    table = lake.table(TABLE.name)
    filled = pa.Table.from_pylist([dict.fromkeys(schema.names) | row for row in rows], schema=schema)
    commit(table, added=write_files(table, filled, folder=f"f{batch}"), properties={})


def log(changed: Mapping[tuple[int, int], FoundRecord | None]) -> Any:
    """Finds what was sent, but for what has changed; of a place that is None, the next one."""

    def find(topic: str, offsets: Offsets) -> dict[int, FoundRecord]:
        found: dict[int, FoundRecord] = {}
        for partition, offset in offsets.items():
            at = changed.get((partition, offset), FoundRecord(offset, T0_MS + offset, value_at(offset), 0))
            found[partition] = at or FoundRecord(offset + 1, 0, b"", 0)
        return found

    return find


def test_the_last_rows_of_the_newest_batches_are_looked_at(lake: Lake) -> None:
    for batch in range(5):
        land(lake, batch, range(batch * 3, batch * 3 + 3))
    rows = sorted((row.partition, row.rank, row.offset) for row in last_rows(lake.table(TABLE.name)))
    assert rows == [(0, 1, 14), (0, 2, 11), (0, 4, 5), (1, 1, 14), (1, 2, 11), (1, 4, 5)]


def test_what_is_still_there_or_was_removed_is_no_loss(lake: Lake) -> None:
    assert not list(find_replaced(lake, GPS, "gps_data", log({})))
    for batch in range(3):
        land(lake, batch, range(batch * 4, batch * 4 + 4))
    require_landed_records(lake, GPS, "gps_data", log({}))
    require_landed_records(lake, GPS, "gps_data", log({(0, 11): None, (1, 7): None}))


@pytest.mark.parametrize(
    "other",
    [
        FoundRecord(10, T0_MS + 11, value_at(10), 0),  # of another time
        FoundRecord(10, T0_MS + 10, value_at(6), 0),  # of the same, with another event
        FoundRecord(10, T0_MS + 10, None, 0),
    ],
)
def test_another_record_at_the_place_is_a_loss(lake: Lake, other: FoundRecord) -> None:
    land(lake, 0, range(8, 11))
    with pytest.raises(DataLoss, match=r"went back and grew again: the record at offset 10 .*topic gps_data, partition 1"):
        require_landed_records(lake, GPS, "gps_data", log({(1, 10): other}))


def test_a_row_is_told_from_another_record_by_what_is_left_of_it() -> None:
    good, bad = LandedRow(0, 4, 1, (T0_MS + 4) * 1000, "e4", None), LandedRow(0, 7, 1, (T0_MS + 7) * 1000, None, b"{broken")
    assert is_of(good, FoundRecord(4, T0_MS + 4, value_at(4), 0), GPS)
    assert is_of(bad, FoundRecord(7, T0_MS + 7, b"{broken", 0), GPS)
    assert not is_of(bad, FoundRecord(7, T0_MS + 7, b"{broken!", 0), GPS)
    assert is_of(replace(bad, payload=b"{br"), FoundRecord(7, T0_MS + 7, b"{broken", 0), GPS, by_time_alone=True)
    assert is_of(good, FoundRecord(4, T0_MS + 4, b"{}", 0), GPS)  # which the contract may have taken then
