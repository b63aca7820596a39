"""The raw landing into Iceberg on a real Spark: each file once, whoever else writes, and nothing half done."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fleetlake.cli.command_line import cli
from fleetlake.contracts.events import EMERGENCY, EVENTS, GPS, WEATHER, Event
from fleetlake.contracts.iceberg import iceberg_schema, partition_spec
from fleetlake.contracts.tables import bronze_of, raw_of
from fleetlake.contracts.validation import parse
from fleetlake.foundation.errors import BadInput, Missing, Retryable
from fleetlake.ingest.spark.decode import RAW, bronze_rows
from fleetlake.ingest.spark.etl import ATTEMPTS, LoadedFiles, OnPlan, load_landing
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.lake.identity import moves_of, require_own
from fleetlake.lake.spark import SparkSettings, attach, session_conf
from fleetlake.serve.query import run_query

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy" / "aws" / "glue" / "raw_to_iceberg.py"
GOOD = {
    "deviceId": "veh-1", "timestamp": "2026-01-01T08:00:00.000Z", "location": [51.5, -0.12], "cameraId": "c",
    "type": "None", "status": "Resolved", "speed": 50,
}  # fmt: skip
RAW_SCHEMA = "kafka_partition int, kafka_offset bigint, kafka_timestamp timestamp, payload binary"


def events(first: int, count: int) -> list[bytes]:
    """Payloads; every tenth breaks the contract, and they are of two days."""
    return [
        b"{broken" if i % 10 == 9
        else json.dumps(GOOD | {"id": f"event-{i}", "timestamp": f"2026-01-0{1 + i % 2}T08:00:00.000Z"}).encode()
        for i in range(first, first + count)
    ]  # fmt: skip


class Landing:
    """A landing, filled by the ingest's own decoder and Spark's own writers, and a lake to load it into."""

    def __init__(self, spark: SparkSession, home: Path, catalog: str) -> None:
        self.spark, self.home, self.catalog, self.path = spark, home, catalog, home / "the landing"
        (home / "warehouse").mkdir(parents=True, exist_ok=True)
        properties = {"type": "sql", "uri": f"sqlite:///{home}/catalog.db", "warehouse": f"file://{home}/warehouse"}
        self.settings = LakeSettings(catalog, properties)
        attach(spark, self.settings)
        self.lake: Lake = open_lake(self.settings)

    def records(self, payloads: Sequence[bytes], first: int = 0) -> DataFrame:
        rows = [(0, first + i, None, payload) for i, payload in enumerate(payloads)]
        return self.spark.createDataFrame(rows, RAW_SCHEMA).coalesce(1)

    def write(self, event: Event, payloads: Sequence[bytes], first: int = 0) -> None:
        """One more Parquet file."""
        rows = self.landed(event, self.records(payloads, first))
        rows.write.mode("append").partitionBy("ingest_date").parquet(f"{self.path}/{event.topic}")

    def stream(self, event: Event, payloads: Sequence[bytes], first: int = 0) -> None:
        """One more micro-batch of a streaming query, with its log."""
        source = self.home / "records" / event.topic
        self.records(payloads, first).write.mode("append").parquet(str(source))
        records = self.spark.readStream.schema(RAW_SCHEMA).parquet(str(source)).select(*RAW)
        query = (
            self.landed(event, records).writeStream.format("parquet").partitionBy("ingest_date").trigger(availableNow=True)
            .option("checkpointLocation", f"{self.home}/checkpoints/{event.topic}").start(f"{self.path}/{event.topic}")
        )  # fmt: skip
        assert query.awaitTermination(60)

    @staticmethod
    def landed(event: Event, records: DataFrame) -> DataFrame:
        from pyspark.sql import functions as sf

        return bronze_rows(event, records, sf.current_timestamp()).withColumn("ingest_date", sf.to_date("ingested_at"))

    def put(self, event: Event, name: str, content: bytes) -> Path:
        file = self.path / event.topic / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    def parquet_files(self, event: Event) -> list[Path]:
        return sorted((self.path / event.topic).rglob("*.parquet"))

    def load(self, *chosen: Event, on_plan: OnPlan = lambda topic, files: None) -> list[LoadedFiles]:
        return load_landing(self.spark, self.catalog, str(self.path), chosen or EVENTS, on_plan=on_plan)

    def load_one(self, event: Event, on_plan: OnPlan = lambda topic, files: None) -> tuple[int, int, int]:
        (added,) = self.load(event, on_plan=on_plan)
        assert (added.topic, added.table) == (event.topic, raw_of(event).name)
        return added.files, added.rows, added.rejected

    def query(self, sql: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = run_query(self.lake, sql).to_pylist()
        return rows

    def rows(self, event: Event) -> int:
        return int(self.query(f"SELECT count(*) AS n FROM {raw_of(event).name}")[0]["n"])


@pytest.fixture
def landing(spark: SparkSession, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Landing]:
    made = Landing(spark, tmp_path / "a home", re.sub(r"\W+", "_", request.node.name))
    yield made
    made.lake.close()


def test_every_topic_is_loaded_once_into_the_table_of_its_contract(landing: Landing) -> None:
    for event in EVENTS:
        landing.write(event, events(0, 20))
    assert [(a.files, a.rows, a.rejected) for a in landing.load()] == [(1, 20, 2)] * 5
    assert [(a.files, a.rows, a.rejected) for a in landing.load()] == [(0, 0, 0)] * 5
    assert landing.lake.names() == sorted(raw_of(event).name for event in EVENTS)
    for event in EVENTS:
        table = landing.lake.table(raw_of(event).name)
        assert table.schema().as_struct() == iceberg_schema(raw_of(event)).as_struct()
        assert table.spec().fields == partition_spec(raw_of(event)).fields
        assert len(list(table.snapshots())) == 1
        columns = ", ".join(column.name for column in bronze_of(event).columns)
        kept = landing.query(f"SELECT {columns} FROM {raw_of(event).name} ORDER BY kafka_offset")
        frame = landing.spark.read.parquet(f"{landing.path}/{event.topic}").select(*map(str.strip, columns.split(",")))
        assert kept == frame.orderBy("kafka_offset").toArrow().to_pylist()


def test_a_streamed_landing_grows_and_only_what_is_new_is_added(landing: Landing, tmp_path: Path) -> None:
    landing.stream(GPS, events(0, 20))
    assert landing.load_one(GPS) == (1, 20, 2)
    landing.stream(GPS, events(20, 30), first=20)
    landing.stream(GPS, events(50, 10), first=50)
    left_by_a_crash = landing.parquet_files(GPS)[0].with_name("part-00009-never-committed.c000.zstd.parquet")
    shutil.copyfile(landing.parquet_files(GPS)[0], left_by_a_crash)
    assert landing.load_one(GPS) == (2, 40, 4)
    counted = landing.query("SELECT source_file, min(kafka_offset) AS low, count(*) AS n FROM raw.gps GROUP BY ALL ORDER BY low")
    assert [(row["low"], row["n"]) for row in counted] == [(0, 20), (20, 30), (50, 10)]
    for row in counted:
        assert row["source_file"].startswith(f"file:{landing.path}/gps_data/ingest_date=".replace(" ", "%20"))
    landing.parquet_files(GPS)[0].unlink()  # one way or another, it was loaded or never committed
    assert landing.load_one(GPS) == (0, 0, 0)


def test_a_copied_landing_is_read_where_it_is_now(landing: Landing) -> None:
    landing.stream(GPS, events(0, 20))
    original = landing.path.rename(landing.home / "elsewhere")
    shutil.copytree(original, landing.path)
    shutil.rmtree(original)
    assert landing.load_one(GPS) == (1, 20, 2)
    landing.stream(GPS, events(20, 10), first=20)
    (new,) = [file for file in landing.parquet_files(GPS) if file.stat().st_mtime_ns == max(
        file.stat().st_mtime_ns for file in landing.parquet_files(GPS))]  # fmt: skip
    new.unlink()
    with pytest.raises(Missing, match=rf"1 files that the landing's log names .*{new.name}"):
        landing.load_one(GPS)
    assert landing.rows(GPS) == 20


def test_a_home_that_was_moved_is_read_by_spark_and_loads_no_file_twice(landing: Landing, tmp_path: Path) -> None:
    landing.stream(GPS, events(0, 20))
    assert landing.load_one(GPS) == (1, 20, 2)
    landing.lake.close()
    landing.home.rename(tmp_path / "moved")
    moved = Landing(landing.spark, tmp_path / "moved", f"{landing.catalog}_moved")
    with closing(sqlite3.connect(moved.home / "catalog.db")) as connection, connection:
        connection.execute("UPDATE iceberg_tables SET catalog_name = ?", (moved.catalog,))
    said: list[str] = []
    require_own(moved.lake, moved.home, say=said.append)
    assert "this lake was moved from" in said[0]
    assert moved.rows(GPS) == 20
    moves = moves_of(moved.lake)
    assert moves == [(str(landing.home), str(moved.home))]

    def load() -> tuple[int, int, int]:
        (done,) = load_landing(moved.spark, moved.catalog, str(moved.path), [GPS], moves=moves)
        return done.files, done.rows, done.rejected

    assert load() == (0, 0, 0)
    moved.put(GPS, "more.json", b"\n".join(events(20, 10)))
    assert load() == (1, 10, 1)
    assert moved.rows(GPS) == 30
    moved.lake.close()


def test_json_lines_keep_every_rule_and_every_bad_line(landing: Landing) -> None:
    lines = [*events(0, 12), b'{"id": 7}', b"\xff\xfe", b'"text"', json.dumps(GOOD | {"id": "x", "location": [91, 0]}).encode()]
    landing.put(EMERGENCY, "drop 1/odd [1]+.json", b"\n".join(lines) + b"\n\n  \n")
    landing.put(EMERGENCY, "b.json.gz", gzip.compress(b"\r\n".join(events(100, 5))))
    landing.put(EMERGENCY, "c.ndjson", events(200, 1)[0])
    landing.put(EMERGENCY, "odd 1+.json.part", b"not finished")
    landing.write(EMERGENCY, events(300, 10))
    assert landing.load_one(EMERGENCY) == (4, 32, 6)
    assert landing.load_one(EMERGENCY) == (0, 0, 0)
    rows = landing.query("SELECT * FROM raw.emergency WHERE contains(source_file, 'odd%20') ORDER BY event_id")
    assert {row["source_file"].rpartition("/")[2] for row in rows} == {"odd%20%5B1%5D+.json"}
    assert {(row["kafka_partition"], row["kafka_offset"], row["kafka_timestamp"]) for row in rows} == {(None, None, None)}
    assert sorted(map(told, rows), key=str) == sorted((expected(EMERGENCY, line) for line in lines), key=str)


def told(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("reject_reason", "payload", *(column.name for column in EMERGENCY.columns))}


def expected(event: Event, payload: bytes) -> dict[str, Any]:
    parsed = parse(event, payload)
    values = {column.name: parsed.values.get(column.name) for column in event.columns}
    return {"reject_reason": parsed.reject_reason, "payload": payload if parsed.reject_reason else None, **values}


def test_a_file_without_records_is_nothing_new(landing: Landing) -> None:
    landing.put(WEATHER, "empty.json", b"\n")
    assert landing.load_one(WEATHER) == (0, 0, 0)
    assert landing.load_one(GPS) == (0, 0, 0)  # it has no folder at all
    assert list(landing.lake.table("raw.weather").snapshots()) == []


def test_of_two_loads_of_the_same_files_one_adds_them(landing: Landing) -> None:
    landing.write(GPS, events(0, 20))
    inner: list[tuple[int, int, int]] = []

    def overtaken(topic: str, files: int) -> None:
        if not inner:
            inner.append((0, 0, 0))
            inner[0] = landing.load_one(GPS)

    assert landing.load_one(GPS, overtaken) == (0, 0, 0)
    assert inner == [(1, 20, 2)]
    landing.write(GPS, events(20, 20), first=20)
    inner.clear()
    assert landing.load_one(GPS, overtaken) == (0, 0, 0)
    assert (inner, landing.rows(GPS)) == ([(1, 20, 2)], 40)


def test_another_writers_rows_make_a_load_look_again_and_a_compaction_does_not(landing: Landing) -> None:
    landing.write(GPS, events(0, 20))
    landing.load(GPS)
    landing.write(GPS, events(20, 20), first=20)
    planned: list[int] = []

    def compacted(topic: str, files: int) -> None:
        planned.append(files)
        landing.spark.sql(
            f"CALL {landing.catalog}.system.rewrite_data_files(table => 'raw.gps', options => map('rewrite-all', 'true'))"
        )

    def appended(topic: str, files: int) -> None:
        planned.append(files)
        if len(planned) == 1:
            landing.spark.sql(f"INSERT INTO {landing.catalog}.raw.gps (source_file, event_id) VALUES ('by hand', 'x')")

    assert landing.load_one(GPS, compacted) == (1, 20, 2)
    assert planned == [1]
    planned.clear()
    landing.write(GPS, events(40, 20), first=40)
    assert landing.load_one(GPS, appended) == (1, 20, 2)
    assert planned == [1, 1]
    assert landing.rows(GPS) == 61


def test_a_table_that_never_rests_is_an_error_and_nothing_is_added(landing: Landing) -> None:
    landing.write(GPS, events(0, 20))

    def appended(topic: str, files: int) -> None:
        landing.spark.sql(f"INSERT INTO {landing.catalog}.raw.gps (source_file, event_id) VALUES ('by hand', 'x')")

    with pytest.raises(Retryable, match=f"another writer changed the table during each of {ATTEMPTS} attempts"):
        landing.load(GPS, on_plan=appended)
    assert landing.rows(GPS) == ATTEMPTS


def test_loads_at_the_same_time_add_each_file_once(landing: Landing) -> None:
    for first in (0, 20, 40):
        landing.write(GPS, events(first, 20), first=first)
    landing.load(WEATHER)  # so that both find the namespace
    with ThreadPoolExecutor(3) as pool:
        added = list(pool.map(lambda _: landing.load_one(GPS), range(3)))
    assert sorted(added) == [(0, 0, 0), (0, 0, 0), (3, 60, 6)]
    assert landing.rows(GPS) == 60


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("torn.parquet", b"PAR1 and no more", "can't be read"),
        ("torn.json.gz", gzip.compress(b"\n".join(events(0, 5000)))[:-200], "can't be read"),
        ("gone.json", None, "can't be read"),
        ("foreign.parquet", "foreign", "is not of the Spark ingest"),
    ],
)
def test_a_bad_file_is_named_and_nothing_is_added(landing: Landing, name: str, content: bytes | str | None, what: str) -> None:
    landing.write(GPS, events(0, 20))
    bad = landing.put(GPS, name, content if isinstance(content, bytes) else b"{}\n")
    if content == "foreign":
        landing.spark.range(3).coalesce(1).write.parquet(f"{landing.home}/numbers")
        (written,) = (landing.home / "numbers").glob("*.parquet")
        shutil.copyfile(written, bad)

    def vanish(topic: str, files: int) -> None:
        if content is None:
            bad.unlink()

    with pytest.raises(BadInput, match=rf"a file of the landing {what}; nothing .* at file:.*/gps_data/{name}; try") as refused:
        landing.load(GPS, on_plan=vanish)
    assert "part-" not in str(refused.value)
    assert landing.rows(GPS) == 0
    bad.unlink(missing_ok=True)
    assert landing.load_one(GPS) == (1, 20, 2)


def test_no_landing_and_no_catalog_are_said_plainly(landing: Landing) -> None:
    with pytest.raises(Missing, match="there is no landing"):
        landing.load()
    with pytest.raises(Missing, match=r"the Spark session has no catalog nowhere; .*spark\.sql\.catalog\.nowhere="):
        load_landing(landing.spark, "nowhere", str(landing.path), EVENTS)


def test_the_job_of_glue_runs_on_the_session_spark_submit_makes(landing: Landing) -> None:
    landing.stream(GPS, events(0, 20))
    landing.put(WEATHER, "a.json", b"\n".join(events(0, 10)))
    landing.load(WEATHER)
    conf = session_conf(SparkSettings("local[2]"), landing.settings, app_name="glue job")
    pyspark = importlib.util.find_spec("pyspark")
    assert pyspark is not None
    assert pyspark.origin is not None
    command = [str(Path(pyspark.origin).parent / "bin" / "spark-submit")]
    command += [word for name, value in conf.items() for word in ("--conf", f"{name}={value}")]
    command += [str(SCRIPT), "--JOB_NAME", "raw", "--job-bookmark-option", "job-bookmark-disable", "--enable-metrics", "true"]
    command += ["--landing", str(landing.path), "--catalog", landing.catalog, "--topics", "gps_data,weather_data"]
    command += ["--warehouse", f"file://{landing.home}/other"]
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable}
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines() == [
        "raw.gps: 1 files, 20 rows added, 2 of them rejected",
        "raw.weather: 0 files, 0 rows added, 0 of them rejected",
    ]
    assert landing.rows(GPS) == 20
    assert landing.lake.table("raw.gps").location().endswith("/other/raw.db/gps")


def test_the_command_prints_what_it_added(
    landing: Landing, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def session_of_the_test(spark: SparkSettings, lake: LakeSettings, **_: object) -> Iterator[SparkSession]:
        assert (spark.master, lake) == ("local[9]", landing.settings)
        yield landing.spark

    def etl(*arguments: str) -> str:
        before = ["--home", str(landing.home), "--set", f"lake.name={landing.catalog}"]
        command = [*before, "etl", "--landing", str(landing.path), "--master", "local[9]", *arguments]
        copy_context().run(cli().main, command, prog_name="fleetlake", standalone_mode=False)
        return capsys.readouterr().out

    monkeypatch.setattr("fleetlake.lake.spark.spark_session", session_of_the_test)
    landing.put(WEATHER, "a.json", b"\n".join(events(0, 1200)))
    assert etl("--topic", "weather_data", "--topic", "gps_data").splitlines() == [
        "raw.weather               1 files       1,200 rows added       120 of them rejected",
        "raw.gps                   0 files           0 rows added         0 of them rejected",
    ]
    added = json.loads(etl("--json"))
    assert added[0] == {"topic": "vehicle_data", "table": "raw.vehicle", "files": 0, "rows": 0, "rejected": 0}
    assert [table["topic"] for table in added] == [event.topic for event in EVENTS]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--landing", "/nowhere"], "error: there is no landing; at /nowhere; try: fleetlake ingest"),
        (["--topic", "gps"], "error: there is no topic gps; at --topic; allowed: vehicle_data, gps_data"),
    ],
)
def test_what_can_not_be_loaded_is_one_line_and_exit_2(tmp_path: Path, arguments: list[str], said: str) -> None:
    command = [sys.executable, "-m", "fleetlake.cli.main", "--home", str(tmp_path), "etl", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(said)


def test_the_job_takes_its_parameters_from_glue(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("raw_to_iceberg", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    argv = ["script.py", "--JOB_NAME", "raw", "--landing=s3://b/l", "--catalog", "glue", "--topics", "gps_data"]
    ours = {"landing": "s3://b/l", "catalog": "glue", "topics": "gps_data"}
    assert script.parameters(argv) == ours
    asked: list[tuple[list[str], list[str]]] = []

    def resolve(arguments: list[str], names: list[str]) -> dict[str, str]:
        asked.append((arguments, names))
        return ours | {"TempDir": "s3://b/tmp", "job_bookmark_option": "job-bookmark-disable"}

    utils = types.ModuleType("awsglue.utils")
    utils.getResolvedOptions = resolve  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "awsglue", types.ModuleType("awsglue"))
    monkeypatch.setitem(sys.modules, "awsglue.utils", utils)
    assert script.parameters(argv) == ours
    assert asked == [(argv, ["landing", "catalog", "topics"])]
