"""A transform whose commit conflicts computes the table again, after a wait, and says why."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import GPS
from fleetlake.contracts.tables import all_tables, bronze_of, silver_of
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.lake.commits import Conflict, commit
from fleetlake.lake.write import write_files
from fleetlake.transform.engine import TransformEngine
from fleetlake.transform.native import native_engine
from fleetlake.transform.runner import run_transform
from fleetlake.transform.settings import TransformSettings

SETTINGS = TransformSettings(threads=1)
TIME = datetime(2026, 1, 1, 8, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    made = open_lake(
        LakeSettings("local", {"type": "sql", "uri": f"sqlite:///{tmp_path}/catalog.db", "warehouse": f"file://{tmp_path}/w"})
    )
    made.ensure(all_tables())
    row = {"kafka_partition": 0, "kafka_offset": 0, "ingested_at": TIME, "event_id": "e", "device_id": "d", "event_time": TIME}
    schema = table_schema(bronze_of(GPS))
    arrow = pa.Table.from_pylist([{name: row.get(name) for name in schema.names}], schema=schema)
    table = made.table(bronze_of(GPS).name)
    commit(table, added=write_files(table, arrow, folder=uuid.uuid4().hex), properties={})
    yield made
    made.close()


class Disturbed:
    """The native engine; another writer commits to silver.gps before the first `times` of its uses."""

    def __init__(self, lake: Lake, times: int) -> None:
        self._lake, self._left = lake, times

    @contextmanager
    def __call__(self) -> Iterator[TransformEngine]:
        if self._left:
            self._left -= 1
            commit(self._lake.table(silver_of(GPS).name), properties={})
        with native_engine(SETTINGS) as engine:
            yield engine


def test_each_attempt_waits_and_is_explained(lake: Lake) -> None:
    waits, lines = list[int](), list[str]()
    report = run_transform(lake, SETTINGS, engines=Disturbed(lake, 2), wait=waits.append, on_repeat=lines.append)
    assert waits == [1, 2]
    assert [line.split(";")[0] for line in lines] == [
        f"silver.gps is computed again (attempt {n} of 5 failed: the table was changed by another writer meanwhile" for n in (1, 2)
    ]
    assert next(counts.inserted for counts in report.silver if counts.table == "silver.gps") == 1


def test_the_last_attempt_is_raised(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    waits = list[int]()
    with pytest.raises(Conflict):
        run_transform(lake, SETTINGS, engines=Disturbed(lake, 99), wait=waits.append)
    assert waits == [1, 2, 3, 4]
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 4
    assert said[0].startswith("transform: silver.gps is computed again (attempt 1 of 5 failed: ")
