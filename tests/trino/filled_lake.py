"""A lake that has a past: filled in two goes, with a transform after each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.conformance.transform_lakes import ingest, simulated
from tests.trino_server import CATALOG

from fleetlake.contracts.tables import all_tables
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.transform.references import read_references
from fleetlake.transform.runner import run_transform
from fleetlake.transform.settings import TransformSettings

SETTINGS = TransformSettings(references=read_references(), threads=2)


@dataclass(frozen=True, slots=True)
class Filled:
    """between: a moment between the two transforms. first_snapshot_id: of gold.trips, made by the first."""

    lake: Lake
    between: datetime
    first_snapshot_id: int


@contextmanager
def filled_lake(folder: Path) -> Iterator[Filled]:
    """Four vehicles on their way to Birmingham, with late, doubled and bad records."""
    properties = {"type": "sql", "uri": f"sqlite:///{folder}/catalog.db", "warehouse": f"file://{folder}/warehouse"}
    lake = open_lake(LakeSettings(CATALOG, properties))
    lake.ensure(all_tables())
    arrived = simulated(vehicles=4, tick_s=20)
    ingest(lake, {event: rows.slice(0, rows.num_rows // 2) for event, rows in arrived.items()})
    run_transform(lake, SETTINGS)
    first = lake.table("gold.trips").current_snapshot()
    assert first is not None
    between = datetime.fromtimestamp(first.timestamp_ms / 1000, UTC) + timedelta(milliseconds=1)
    while datetime.now(UTC) <= between:
        time.sleep(0.001)
    ingest(lake, {event: rows.slice(rows.num_rows // 2) for event, rows in arrived.items()})
    run_transform(lake, SETTINGS)
    try:
        yield Filled(lake, between, first.snapshot_id)
    finally:
        lake.close()
