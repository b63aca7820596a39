"""A device out of a lake: no row, no byte, nothing else changed, the books in order, however it is cut off."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from pyiceberg.avro.file import AvroFile
from pyiceberg.io.pyarrow import PyArrowFileIO

from fleetlake.cli.main import main
from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import EVENTS, GPS, TRAFFIC, Event
from fleetlake.contracts.tables import ERASED, all_tables, bronze_of, silver_of
from fleetlake.foundation.errors import Missing
from fleetlake.ingest.offsets import IngestMarker, KafkaTopicState
from fleetlake.ingest.verify import CheckState, TopicCheck, check_topic
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.lake.commits import commit
from fleetlake.lake.write import write_files
from fleetlake.maintain.erase import count_device, erase_device
from fleetlake.transform.marker import read_marker
from fleetlake.transform.runner import run_transform
from fleetlake.transform.settings import TransformSettings
from fleetlake.workflows.erase import erase_wiring
from fleetlake.workflows.verify import print_checks

T0 = datetime(2026, 1, 1, 8, tzinfo=UTC)
GONE, STAYS = "quokka-7", "quokka-70"
ESCAPED = b'{"deviceId": "\\u0071uokk\\u0061-7", "speed": "fast"}'
NO_BYTE = re.compile(rb"quokka-7(?!0)|\\u0071uokk\\u0061-7")
SETTINGS = TransformSettings(threads=1)
WRITER = {"spark.sql.streaming.queryId": "query", "spark.sql.streaming.epochId": "7"}  # what Spark asks older snapshots for


def row(offset: int, device: str, **more: Any) -> dict[str, Any]:
    made = {
        "kafka_partition": 0, "kafka_offset": offset, "ingested_at": T0 + timedelta(days=1, seconds=offset),
        "event_id": f"{device}/{offset}", "device_id": device, "event_time": T0 + timedelta(seconds=10 * offset), "speed_kmh": 50.0,
        "latitude": 52.0 + offset / 1000, "longitude": -1.0, "camera_id": "cam-1", "vehicle_count": offset,
        "average_speed_kmh": 40.0,
    }  # fmt: skip
    return made | more


def reject(offset: int, payload: bytes) -> dict[str, Any]:
    made = {"kafka_partition": 0, "kafka_offset": offset, "ingested_at": T0 + timedelta(days=1, seconds=offset)}
    return made | {"reject_reason": "wrong_type: speed: string, expected number", "payload": payload}


def ingest(lake: Lake, rows: list[dict[str, Any]], event: Event = GPS) -> None:
    table, schema = lake.table(bronze_of(event).name), table_schema(bronze_of(event))
    arrow = pa.Table.from_pylist([{name: one.get(name) for name in schema.names} for one in rows], schema=schema)
    following = max((one["kafka_offset"] for one in rows), default=-1) + 1
    marker = IngestMarker("job", 1, uuid.uuid4().hex, "c", "t", {0: 0}, {0: following})
    commit(table, added=write_files(table, arrow, folder=uuid.uuid4().hex), properties=WRITER | marker.properties())


def opened(folder: Path) -> Lake:
    return open_lake(
        LakeSettings("local", {"type": "sql", "uri": f"sqlite:///{folder}/catalog.db", "warehouse": f"file://{folder}/warehouse"})
    )


def fill(folder: Path, *, transformed: bool = True) -> Lake:
    """Two devices in two topics and two commits each; two rejects; a transform after each commit, so that gold replaced files."""
    lake = opened(folder)
    lake.ensure(all_tables() if transformed else [of(event) for event in (GPS, TRAFFIC) for of in (bronze_of, silver_of)])
    for start in (0, 40):
        for event in (GPS, TRAFFIC):
            ingest(lake, [row(start + i, GONE if i % 2 else STAYS) for i in range(38)], event)
            ingest(lake, [reject(start + 38, ESCAPED), reject(start + 39, b'{"deviceId": "quokka-70"')], event)
        if transformed:
            run_transform(lake, SETTINGS)
    return lake


def bytes_of(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """All there is to read in every file: as it is on the disk, and decoded where it is compressed."""
    for path in (path for path in folder.rglob("*") if path.is_file()):
        yield path, path.read_bytes()
        if path.suffix == ".parquet":
            with duckdb.connect() as con:
                yield path, repr(con.execute(f"SELECT * FROM '{path}'").fetchall()).encode()
                yield path, repr(con.execute(f"SELECT * FROM parquet_metadata('{path}')").fetchall()).encode()
        if path.suffix == ".avro":
            with AvroFile[Any](PyArrowFileIO().new_input(str(path))) as records:
                yield path, repr([repr(record) for record in records]).encode()


def holders(folder: Path) -> set[Path]:
    return {path for path, content in bytes_of(folder) if NO_BYTE.search(content)}


def contents(lake: Lake) -> dict[str, list[str]]:
    return {
        table.name: sorted(repr(sorted(one.items())) for one in lake.table(table.name).scan().to_arrow().to_pylist())
        for table in all_tables()
        if lake.has(table.name)
    }


def without(found: dict[str, list[str]]) -> dict[str, list[str]]:
    def is_other(one: str) -> bool:
        return not NO_BYTE.search(one.encode().replace(rb"\\u", rb"\u"))

    return {name: list(filter(is_other, rows)) for name, rows in found.items()}


def check(lake: Lake, event: Event, high: int = 80) -> tuple[CheckState, int, int, tuple[str, ...]]:
    marker = read_marker(lake.table(silver_of(event).name))
    read = marker.sources[bronze_of(event).name].offsets if marker else None
    found = check_topic(lake, event, KafkaTopicState(event.topic, "c", "t", {0: (0, high)}), read)
    return found.state, found.landed, found.erased, found.problems


def test_nothing_is_left_nothing_else_is_gone_and_a_transform_goes_on(tmp_path: Path) -> None:
    lake = fill(tmp_path)
    ingest(lake, [row(80 + i, GONE if i % 2 else STAYS) for i in range(20)])  # no transform has read these
    before = contents(lake)
    assert len(holders(tmp_path)) > 20
    erased = erase_device(lake, GONE, erase_wiring())
    assert holders(tmp_path) == set()
    assert erased.remaining == ()
    assert erased.deleted > 20
    assert contents(lake) == without(before)
    assert {table.table: table.rows for table in erased.tables}["bronze.gps"] == 50
    assert check(lake, TRAFFIC) == (CheckState.OK, 40, 40, ())
    assert check(lake, GPS, 100) == (CheckState.BEHIND, 50, 50, ("silver: 10 bronze rows are waiting for fleetlake transform",))
    for name in lake.names():
        snapshot = lake.table(name).current_snapshot()
        rows = lake.table(name).scan().to_arrow().num_rows
        assert snapshot is None or int(snapshot.summary["total-records"] or 0) == rows, name  # type: ignore[index]
    (only,) = lake.table("bronze.gps").snapshots()
    assert only.summary is not None
    assert only.summary.additional_properties.items() >= WRITER.items()
    ingest(lake, [row(100 + i, STAYS) for i in range(20)])
    run_transform(lake, SETTINGS)
    now = contents(lake)
    assert check(lake, GPS, 120) == (CheckState.OK, 70, 50, ())
    assert now["gold.camera_traffic"]
    assert all("('devices', 1)" in one for one in now["gold.camera_traffic"])
    run_transform(lake, SETTINGS, full=True)
    assert now == contents(lake)
    with pytest.raises(Missing, match="no rows for device 'quokka-7';"):
        erase_device(lake, GONE, erase_wiring())
    lake.close()


class KilledError(BaseException):
    """kill -9, as far as one process can have it of itself."""


@pytest.mark.parametrize("step", [1, 2, 5, 9])
def test_cut_off_at_a_commit_the_same_again_finishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    lake = fill(tmp_path, transformed=False)
    before = contents(lake)
    cut_off(monkeypatch, lake.catalog, "commit_table", step)
    finish(lake, tmp_path, before)


@pytest.mark.parametrize("step", [1, 6, 14])
def test_cut_off_at_a_deletion_the_same_again_finishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    lake = fill(tmp_path, transformed=False)
    before = contents(lake)
    cut_off(monkeypatch, PyArrowFileIO, "delete", step)
    finish(lake, tmp_path, before)


def cut_off(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, step: int) -> None:
    """Just after the call of this number, as it is seen from outside."""
    real: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def counted(*arguments: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        answer = real(*arguments, **more)
        if calls == step:
            raise KilledError
        return answer

    monkeypatch.setattr(owner, name, counted)


def finish(lake: Lake, folder: Path, before: dict[str, list[str]]) -> None:
    try:
        erase_device(lake, GONE, erase_wiring())
    except KilledError:
        states = {check(lake, event)[0] for event in (GPS, TRAFFIC)}
        assert states == {CheckState.OK}, "half an erasure is in the books too"
        lake = opened(folder)
        try:
            erased = erase_device(lake, GONE, erase_wiring())
            assert erased.remaining == ()
        except Missing:
            pass  # it had been all but done
    assert holders(folder) == set()
    assert contents(lake) == without(before)
    assert [check(lake, event) for event in (GPS, TRAFFIC)] == [(CheckState.OK, 40, 40, ())] * 2
    lake.close()


def test_an_ingest_goes_on_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake, other = fill(tmp_path, transformed=False), opened(tmp_path)
    real, waits = lake.catalog.commit_table, list[str]()

    def disturbed(table: Any, *arguments: Any) -> Any:
        name = ".".join(table.name())
        if name == bronze_of(GPS).name and waits.count(name) < 3:
            waits.append(name)
            at = 80 + 2 * len(waits)
            ingest(other, [row(at - 2, STAYS), row(at - 1, GONE)])
        return real(table, *arguments)

    monkeypatch.setattr(lake.catalog, "commit_table", disturbed)
    erased = erase_device(lake, GONE, erase_wiring())
    assert holders(tmp_path) == set()
    assert check(lake, GPS, 86) == (CheckState.OK, 43, 43, ())
    gps = next(table for table in erased.tables if table.table == bronze_of(GPS).name)
    assert gps.rows == 43
    lake.close()
    other.close()


def test_a_lost_place_is_not_taken_for_an_erased_one(tmp_path: Path) -> None:
    lake = fill(tmp_path, transformed=False)
    erase_device(lake, GONE, erase_wiring())
    table = lake.table(bronze_of(GPS).name)
    file = next(iter(table.scan().plan_files())).file
    commit(table, removed=[file], properties={})
    state, _, erased, problems = check(lake, GPS)
    assert (state, erased) == (CheckState.NOT_EQUAL, 40)
    assert problems
    assert set(lake.table(ERASED.name).schema().column_names) == {"topic", "kafka_partition", "kafka_offset", "erased_at"}
    lake.close()


def test_the_command_counts_erases_and_tells_what_is_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    fill(home, transformed=False).close()
    (home / "truth").mkdir()
    (home / "truth" / "trips.json").write_text(json.dumps({"device": GONE}))

    monkeypatch.setattr("fleetlake.workflows.erase.PROBE_S", 0.2)

    def run(*arguments: str) -> int:
        monkeypatch.setattr(
            "sys.argv", ["fleetlake", "--home", str(home), "--set", "kafka.bootstrap_servers=127.0.0.1:1", "erase", *arguments]
        )
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0)

    assert run("--device", GONE, "--dry-run") == 0
    assert "bronze.gps: 40 rows of the device would be taken out; 4 files" in capsys.readouterr().out
    assert run("--device", GONE, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["erasure"]["remaining"] == []
    assert report["elsewhere"] == [str(home / "truth" / "trips.json")]
    assert "Kafka" in report["outside"][0]
    assert holders(home) == {home / "truth" / "trips.json"}
    assert run("--device", GONE) == 2
    assert "no rows for device 'quokka-7'" in capsys.readouterr().err
    assert run("--device", " ") == 2


def test_what_was_erased_has_a_column_of_its_own_where_there_is_any(capsys: pytest.CaptureFixture[str]) -> None:
    print_checks([TopicCheck("gps_data", 80, 40, 0, 0, 40, 0, erased=40)], as_json=False)
    assert [line.split() for line in capsys.readouterr().out.splitlines()[:2]] == [
        ["topic", "Kafka", "bronze", "erased", "rejected", "duplicates", "silver", "late"],
        ["gps_data", "80", "40", "40", "0", "0", "40", "0", "ok"],
    ]
    print_checks([TopicCheck("gps_data", 80, 80, 0, 0, 80, 0)], as_json=False)
    assert "erased" not in capsys.readouterr().out


def test_counting_changes_nothing(tmp_path: Path) -> None:
    lake = fill(tmp_path, transformed=False)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    counted = count_device(lake, GONE)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files
    assert {t.table: t.rows for t in counted.tables} == {t.table: t.rows for t in erase_device(lake, GONE, erase_wiring()).tables}
    lake.close()


def test_every_event_has_a_table_of_its_topic() -> None:
    assert erase_wiring().topics == {bronze_of(event).name: event.topic for event in EVENTS}
