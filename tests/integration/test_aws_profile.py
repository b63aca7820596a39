"""The profile that `deploy aws apply` saves: data in S3 (s3proxy), tables in Glue (moto), credentials in the environment alone.

Commands run as users run them. Spark's ingest into Iceberg starts a JVM of its own; the other Spark commands share one.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from contextvars import copy_context
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from tests.aws_server import AwsServer, aws_server
from tests.command_line import PATIENCE_S
from tests.conftest import INTERPRETED, SHORT_LIVED, free_ports
from tests.forking import run_fleetlake
from tests.s3_server import BUCKET, S3Server, s3_server

from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.broker.topics import watermarks
from fleetlake.cli.command_line import cli
from fleetlake.config.profiles import save_profile
from fleetlake.config.settings import Overrides, load
from fleetlake.config.wiring import lake_settings, open_lake_from
from fleetlake.contracts.events import EVENTS
from fleetlake.contracts.tables import bronze_of, raw_of, silver_of
from fleetlake.lake.spark import SparkSettings, attach, spark_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from fleetlake.lake.catalog import Lake, LakeSettings

# Profiles: Glue of two regions, so that each engine fills bronze tables of its own. The stack makes the first.
NATIVE, SPARKS, DISK = "aws", "sparks", "disk"
REGIONS = {NATIVE: "eu-west-2", SPARKS: "eu-west-1"}
PROFILE = """
[profile.{name}.lake]
name = "{name}"
[profile.{name}.lake.properties]
type = "glue"
warehouse = "s3://{bucket}/{name}"
"glue.region" = "{region}"
"s3.region" = "{region}"
"client.region" = "{region}"
"glue.endpoint" = "{glue}"
"s3.endpoint" = "{s3}"
"s3.path-style-access" = "true"
[profile.{name}.spark]
landing = "s3a://{bucket}/landing"
checkpoints = "s3a://{bucket}/checkpoints"
"""
READS = (
    ("query", "SELECT * FROM gold.trips ORDER BY ALL", "--json"),
    ("query", "SELECT device_id, count(*) AS n, sum(speed_kmh) > 0 AS moved FROM silver.gps GROUP BY ALL ORDER BY ALL", "--csv"),
    ("report", "trips", "--json"),
    ("report", "scores", "--json"),
    ("report", "fleet", "--csv"),
    ("quality", "--json"),
    ("verify", "--json"),
)


@dataclass(frozen=True, slots=True)
class Fleet:
    """One Kafka, and lakes of it by profile. environment: what every process gets, credentials among it."""

    file: Path
    home: Path
    broker: EmbeddedBroker
    environment: dict[str, str]
    session: SparkSession | None = None

    def words(self, profile: str) -> list[str]:
        return ["--config", str(self.file), "--home", str(self.home / profile), "--profile", profile]

    def process(self, profile: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return run_fleetlake(*self.words(profile), *arguments, env=self.environment | environment, timeout=PATIENCE_S)

    def do(self, profile: str, *arguments: str) -> str:
        done = self.process(profile, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def here(self, profile: str, *arguments: str) -> str:
        """The same in this process."""
        with redirect_stdout(io.StringIO()) as out:
            copy_context().run(cli().main, [*self.words(profile), *arguments], prog_name="fleetlake", standalone_mode=False)
        return out.getvalue()

    def in_kafka(self) -> dict[str, int]:
        """Records of each topic, from its offsets."""
        marks = watermarks(self.broker.settings, [event.topic for event in EVENTS])
        return {topic: sum(high - low for low, high in partitions.values()) for topic, partitions in marks.items()}

    def lake(self, profile: str) -> Lake:
        return open_lake_from(load(Overrides(file=self.file, home=self.home / profile, profile=profile)).settings)

    def lake_settings(self, profile: str) -> LakeSettings:
        return lake_settings(load(Overrides(file=self.file, home=self.home / profile, profile=profile)).settings)

    def apply_stack(self, aws: AwsServer, s3: S3Server) -> None:
        """`deploy aws apply` saves the profile; what it can't know is where the stand-ins for AWS listen."""
        words = ("--set", f"aws.region={REGIONS[NATIVE]}", "--set", f"aws.bucket={BUCKET}", "deploy", "aws", "apply", "--yes")
        environment = self.environment | dict(aws.environment)
        done = run_fleetlake("--config", str(self.file), *words, env=environment, timeout=PATIENCE_S)
        assert done.returncode == 0, done.stderr
        assert f"[profile.{NATIVE}]: wrote" in done.stdout
        endpoints = {"glue.endpoint": aws.endpoint, "s3.endpoint": s3.endpoint, "s3.path-style-access": "true"}
        save_profile(self.file, NATIVE, {("lake", "properties", name): value for name, value in endpoints.items()})

    def drive(self, seed: int) -> None:
        start = ("--start-time", f"2026-01-0{seed}T06:00:00Z", "--seed", str(seed))
        faults = ("--faults", "duplicates=0.02,poison=0.01")
        self.do(DISK, "simulate", "--vehicles", "2", "--tick", "60", *start, *faults)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3"), free_ports()) as server:
        yield server


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsServer]:
    with aws_server(tmp_path_factory.mktemp("aws"), free_ports()) as server:
        yield server


@pytest.fixture(scope="module")
def fleet(broker: EmbeddedBroker, aws: AwsServer, s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    file = folder / "fleetlake.toml"
    profile = PROFILE.format(name=SPARKS, bucket=BUCKET, region=REGIONS[SPARKS], glue=aws.endpoint, s3=s3.endpoint)
    quick = "".join(f'"{name}" = "{value}"\n' for name, value in {"spark.master": "local[2]", **SHORT_LIVED, **INTERPRETED}.items())
    file.write_text(
        f'[kafka]\nbootstrap_servers = "127.0.0.1:{broker.port}"\n[spark.properties]\n{quick}[profile.{DISK}]\n{profile}'
    )
    given = {
        name: value
        for name, value in aws.environment.items()
        if name not in ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION")
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FLEETLAKE"))}
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ.keys() - kept.keys():
            patch.delenv(name)
        for name, value in given.items():
            patch.setenv(name, value)
        made = Fleet(file, folder, broker, kept | given)
        made.apply_stack(aws, s3)
        made.drive(3)
        yield made


@pytest.fixture(scope="module")
def spark_fleet(fleet: Fleet) -> Iterator[Fleet]:
    """With one Spark for all commands of this process, and both lakes its catalogs."""
    conf = {"spark.sql.shuffle.partitions": "1", **SHORT_LIVED, **INTERPRETED}
    settings = SparkSettings("local[2]", fleet.home / "spark.log", conf)
    with (
        spark_session(settings, fleet.lake_settings(NATIVE), app_name="tests", s3=True) as session,
        pytest.MonkeyPatch.context() as patch,
    ):
        attach(session, fleet.lake_settings(SPARKS))

        @contextmanager
        def shared(*_: object, **__: object) -> Iterator[SparkSession]:
            yield session

        patch.setattr("fleetlake.lake.spark.spark_session", shared)
        yield replace(fleet, session=session)


def counts(out: str) -> dict[str, int]:
    return {topic: count["landed"] for topic, count in json.loads(out).items()}


def assert_proven(fleet: Fleet, profile: str) -> None:
    """Every record of Kafka is in bronze once, and every good event in silver."""
    checks = json.loads(fleet.here(profile, "verify", "--json"))
    assert {check["topic"]: (check["landed"], check["kafka"]) for check in checks} == {
        topic: (records, records) for topic, records in fleet.in_kafka().items()
    }
    assert [(check["state"], check["problems"]) for check in checks] == [("ok", [])] * len(EVENTS)


def assert_same_answers(fleet: Fleet) -> None:
    for words in READS:
        assert fleet.here(NATIVE, *words) == fleet.here(DISK, *words), words


def test_a_drive_in_s3_and_glue_reads_as_one_on_disk(fleet: Fleet, tmp_path: Path) -> None:
    for profile in (NATIVE, DISK):
        assert counts(fleet.do(profile, "ingest", "--once", "--json")) == fleet.in_kafka()
        fleet.here(profile, "transform")
    assert_proven(fleet, NATIVE)
    assert_same_answers(fleet)
    assert len(json.loads(fleet.here(NATIVE, "report", "trips", "--json"))) == 2
    rejected = json.loads(fleet.here(NATIVE, "quarantine", "--json"))
    assert rejected["rejected"] == sum(check["rejected"] for check in json.loads(fleet.here(NATIVE, "verify", "--json"))) > 0
    first, *_, last = json.loads(fleet.here(NATIVE, "snapshots", "bronze.gps", "--json"))
    assert (first["total_rows"], last["total_rows"]) == (0, fleet.in_kafka()["gps_data"])
    then = fleet.here(NATIVE, "query", "SELECT count(*) AS n FROM bronze.gps", "--as-of", first["snapshot_id"], "--csv")
    assert then.split() == ["n", "0"]
    fleet.here(NATIVE, "report", "trips", "--html", str(tmp_path / "trips.html"))
    assert (tmp_path / "trips.html").stat().st_size > 20_000
    files = [path for path in (fleet.home / NATIVE).rglob("*") if path.suffix in (".parquet", ".avro", ".db")]
    assert files == [], "nothing of the lake is on disk"


def test_spark_transforms_what_was_ingested_natively(spark_fleet: Fleet) -> None:
    spark_fleet.drive(4)
    for profile in (NATIVE, DISK):
        spark_fleet.do(profile, "ingest", "--once")
    done = json.loads(spark_fleet.here(NATIVE, "transform", "--engine", "spark", "--json"))
    assert done == json.loads(spark_fleet.here(DISK, "transform", "--json"))
    assert done["silver"][1]["inserted"] > 0
    assert_proven(spark_fleet, NATIVE)
    assert_same_answers(spark_fleet)
    spark_fleet.here(NATIVE, "transform")  # which has nothing to do: Spark's marker is the native engine's too
    assert_same_answers(spark_fleet)


def test_spark_ingests_and_lands_and_the_native_engine_reads_it(spark_fleet: Fleet) -> None:
    fleet = spark_fleet
    ingest = (SPARKS, "ingest", "--engine", "spark", "--once", "--json")
    assert counts(fleet.do(*ingest)) == fleet.in_kafka()
    assert counts(fleet.here(*ingest, "--sink", "parquet")) == fleet.in_kafka()
    assert {each["topic"]: each["rows"] for each in json.loads(fleet.here(SPARKS, "etl", "--json"))} == fleet.in_kafka()
    assert sum(each["files"] for each in json.loads(fleet.here(SPARKS, "etl", "--json"))) == 0
    fleet.here(SPARKS, "transform")
    assert_proven(fleet, SPARKS)
    assert fleet.here(SPARKS, *READS[0]) == fleet.here(NATIVE, *READS[0])
    refused = fleet.process(SPARKS, "ingest", "--once")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "the spark engine has filled this table" in refused.stderr


def test_pyiceberg_and_spark_see_the_same_rows_in_glue(spark_fleet: Fleet) -> None:
    tables = [make(event) for event in EVENTS for make in (bronze_of, silver_of, raw_of)]
    for profile in (NATIVE, SPARKS):
        lake = spark_fleet.lake(profile)
        names = [table.name for table in tables if lake.has(table.name)] + ["gold.trips", "gold.driver_scores"]
        assert len(names) == (17 if profile == SPARKS else 12)
        for name in names:
            assert spark_fleet.session is not None
            seen = rows_of(spark_fleet.session.table(f"{spark_fleet.lake_settings(profile).name}.{name}").toArrow())
            assert seen == rows_of(lake.table(name).scan().to_arrow()), name
            assert seen or name == "gold.driver_scores"


def rows_of(table: pa.Table) -> list[dict[str, Any]]:
    return sorted(table.to_pylist(), key=repr)
