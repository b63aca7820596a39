"""A simulated drive that is shuffled, delayed, doubled and split into ingests gives, to the bit, the gold of the ordered one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from random import Random

import pyarrow as pa
import pytest
from tests.conformance.transform_lakes import T0, bronze_rows, ingest, simulated

from fleetlake.contracts.events import EMERGENCY, EVENTS, Event
from fleetlake.contracts.gold import GOLD
from fleetlake.contracts.positions import POSITIONS
from fleetlake.contracts.tables import all_tables
from fleetlake.lake.catalog import LakeSettings, open_lake
from fleetlake.transform.runner import run_transform
from fleetlake.transform.settings import TransformSettings

Drive = Mapping[Event, pa.Table]
SETTINGS = TransformSettings(threads=1)


@pytest.fixture(scope="module")
def drive() -> Drive:
    """Good rows of two vehicles that report every 20 s; bad and late ones are another test's."""
    return {event: rows.filter(pa.compute.field("reject_reason").is_null()) for event, rows in simulated(2, 20).items()}


def filled(folder: Path, *ingests: Drive, full_at_last: bool = False) -> dict[str, list[dict[str, object]]]:
    """What silver.positions and gold are after a transform behind each ingest."""
    folder.mkdir()
    lake = open_lake(LakeSettings("l", {"type": "sql", "uri": f"sqlite:///{folder}/c.db", "warehouse": f"file://{folder}"}))
    lake.ensure(all_tables())
    for arrived in ingests:
        ingest(lake, arrived)
        run_transform(lake, SETTINGS)
    if full_at_last:
        run_transform(lake, SETTINGS, full=True)
    tables = {table.name: lake.table(table.name).scan().to_arrow() for table in (POSITIONS, *GOLD)}
    lake.close()
    return {name: rows.sort_by(rows.column_names[0]).to_pylist() for name, rows in tables.items()}


def disordered(drive: Drive, random: Random, ingests: int) -> list[Drive]:
    """Each event's rows in any order, a tenth of them twice, cut into `ingests` parts of any size."""
    parts: list[dict[Event, pa.Table]] = [{} for _ in range(ingests)]
    for event, rows in drive.items():
        picked = [*range(rows.num_rows), *random.sample(range(rows.num_rows), rows.num_rows // 10)]
        random.shuffle(picked)
        cuts = sorted(random.randrange(len(picked)) for _ in range(ingests - 1))
        offset = 0
        for part, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(picked)], strict=True)):
            arrived = rows.take(picked[start:end]).to_pylist()
            for row in arrived:
                row["kafka_offset"], offset = offset, offset + 1
                row["ingested_at"] = T0 + timedelta(days=1, seconds=offset)
            parts[part][event] = bronze_rows(event, arrived)
    return parts


@pytest.mark.parametrize("seed", range(3))
def test_any_way_it_arrives(drive: Drive, tmp_path: Path, seed: int) -> None:
    ordered = filled(tmp_path / "ordered", drive)
    assert all(ordered[table.name] for table in (POSITIONS, *GOLD) if table.kind not in ("stops", "geofence_events"))
    found = filled(tmp_path / "any", *disordered(drive, Random(seed), ingests=4), full_at_last=seed == 0)
    for name, rows in ordered.items():
        assert found[name] == rows, name


def test_the_drive_has_all_topics(drive: Drive) -> None:
    assert set(drive) == set(EVENTS)
    assert drive[EMERGENCY].num_rows > 100
