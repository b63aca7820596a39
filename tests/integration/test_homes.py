"""Homes as users have them: with any name, each with its own broker and its own lake, moved and copied."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import free_ports
from tests.forking import run_fleetlake

from fleetlake.broker.embedded import EmbeddedBroker

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("FLEETLAKE")}
COUNT = ("query", "SELECT count(*) AS n, count(DISTINCT device_id) AS devices FROM bronze.gps", "--json")


class Home:
    """A folder with a hard name, whose commands know nothing of Kafka but a port."""

    def __init__(self, folder: Path) -> None:
        self.path, self.port = folder / "fleet #2?a%20b [1]*;é'\"", free_ports()

    def do(self, *arguments: str, home: Path | None = None) -> "subprocess.CompletedProcess[str]":
        words = ("--home", str(home or self.path), "--set", f"kafka.port={self.port}")
        return run_fleetlake(*words, *arguments, env=ENVIRONMENT, timeout=240, cwd=self.path.parent)

    def well(self, *arguments: str, home: Path | None = None) -> str:
        done = self.do(*arguments, home=home)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    made = Home(tmp_path_factory.mktemp("homes"))
    made.well("up")
    try:
        made.well("simulate", "--vehicles", "2", "--seed", "7", "--to", "kafka")
        made.well("ingest", "--once")
        yield made
    finally:
        EmbeddedBroker(made.path, made.port).stop()


def test_every_command_works_in_a_home_of_any_name_and_stays_in_it(home: Home) -> None:
    for command in ("transform", "verify", "maintain compact", "maintain expire", "maintain orphans", "report trips", "status"):
        home.well(*command.split())
    home.well("erase", "--device", "sim7-00000")
    assert json.loads(home.well(*COUNT))[0]["devices"] == 1
    findings = {finding["what"]: finding for finding in json.loads(home.do("doctor", "--json").stdout)}
    assert (findings["Kafka"]["state"], findings["lake"]["state"]) == ("ok", "ok"), findings
    assert [path.name for path in home.path.parent.iterdir()] == [home.path.name]


def test_another_home_does_not_take_this_ones_broker_for_its_own(home: Home, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for command in (("ingest", "--once"), ("simulate", "--vehicles", "1"), ("ingest", "--once", "--engine", "spark")):
        done = home.do(*command, home=other)
        assert done.returncode == 2, done
        assert f"what answers on port {home.port} is not the broker of this home, but the one of {home.path}" in done.stderr
        assert f"--set kafka.bootstrap_servers=127.0.0.1:{home.port}" in done.stderr
        assert not other.exists()
    assert f"but the one of {home.path}" in home.do("status", home=other).stdout
    elsewhere = run_fleetlake("--home", str(home.path), "--set", "kafka.port=1", "verify", env=ENVIRONMENT, timeout=240)
    assert elsewhere.returncode == 2
    assert f"this home's broker listens on port {home.port}; at kafka.port=1; try: --set kafka.port={home.port}" in elsewhere.stderr


def test_a_copied_lake_is_refused_by_every_command_that_writes(home: Home, tmp_path: Path) -> None:
    copy, before = tmp_path / "copy", home.well(*COUNT)
    shutil.copytree(home.path, copy, ignore=shutil.ignore_patterns("kafka"))
    kafka = ("--home", str(copy), "--set", f"kafka.bootstrap_servers=127.0.0.1:{home.port}")
    files = {path for path in home.path.rglob("*") if path.is_file()}
    for command in (
        "ingest --once", "transform", "maintain orphans", "maintain run", "erase --device sim7-00001",
        "ingest --once --engine spark", "transform --engine spark", "etl",
    ):  # fmt: skip
        (copy / "landing").mkdir(exist_ok=True)
        done = run_fleetlake(*kafka, *command.split(), env=ENVIRONMENT, timeout=240)
        assert done.returncode == 2, (command, done)
        assert f"error: this lake is a copy of the one in {home.path}/warehouse" in done.stderr, command
    read = run_fleetlake(*kafka, *COUNT, env=ENVIRONMENT, timeout=240)
    assert (read.stdout, read.returncode) == (before, 0)
    assert "warning: this lake is a copy" in read.stderr
    assert f"a copy of the one in {home.path}" in run_fleetlake(*kafka, "doctor", env=ENVIRONMENT, timeout=240).stdout
    assert run_fleetlake(*kafka, "adopt", env=ENVIRONMENT, timeout=240).returncode == 0
    erased = run_fleetlake(*kafka, "erase", "--device", "sim7-00001", env=ENVIRONMENT, timeout=240)
    assert erased.returncode == 0, erased.stderr
    assert home.well(*COUNT) == before
    assert {path for path in home.path.rglob("*") if path.is_file()} >= files
    assert "holds" not in erased.stdout or str(home.path) not in erased.stdout
