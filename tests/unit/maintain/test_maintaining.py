"""fleetlake maintain run, as a process beside writers: what it does each round, what it survives, how it ends."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from fleetlake.config.settings import Settings
from fleetlake.contracts.events import VEHICLE, WEATHER
from fleetlake.contracts.tables import bronze_of
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.maintain.compaction import Compacted, CompactionPolicy
from fleetlake.maintain.retention import ExpiryPolicy
from fleetlake.workflows.maintain import Schedule, maintain_until_signalled, print_reports

BROKEN, WHOLE = bronze_of(VEHICLE), bronze_of(WEATHER)
PATIENCE_S = 60


def make_lake(home: Path) -> Lake:
    uri, warehouse = f"sqlite:///{home}/catalog.db", f"file://{home}/warehouse"
    lake = open_lake(LakeSettings("local", {"type": "sql", "uri": uri, "warehouse": warehouse}))
    lake.ensure([BROKEN, WHOLE])
    with lake.table(BROKEN.name).transaction() as transaction:
        transaction.set_properties({"gc.enabled": "false"})
    return lake


def stray(home: Path) -> Path:
    path = home / "warehouse" / "bronze" / "weather" / "data" / f"{uuid.uuid4()}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"1")
    os.utime(path, (time.time() - 4 * 86_400,) * 2)
    return path


@contextmanager
def running(home: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "fleetlake.cli.main", "--home", str(home), "maintain", "run", "--json", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(stream: IO[str] | None) -> str:
    assert stream is not None
    assert select.select([stream], [], [], PATIENCE_S)[0], "it said nothing"
    return stream.readline()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_goes_on_past_a_table_it_may_not_touch_and_ends_at_once(tmp_path: Path, number: signal.Signals) -> None:
    lake, path = make_lake(tmp_path), stray(tmp_path)
    with running(tmp_path, "--every", "300") as process:
        told = json.loads(line_of(process.stdout))
        assert (told["table"], told["files"], told["deleted"]) == (WHOLE.name, [str(path)], 1)
        assert "gc.enabled is false; at table bronze.vehicle" in line_of(process.stderr)
        began = time.monotonic()
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 0
        assert time.monotonic() - began < 20  # not the 300 s of the pause
    assert not path.exists()
    lake.close()


def test_a_table_that_can_not_be_read_is_told_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lake, path, rounds = make_lake(tmp_path), stray(tmp_path), list[float]()
    location = lake.table(BROKEN.name).metadata_location
    Path(location.removeprefix("file://")).write_text("{")

    def end_after_the_second(seconds: float) -> None:
        rounds.append(seconds)
        if len(rounds) == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(time, "sleep", end_after_the_second)
    maintain_until_signalled(Settings(home=tmp_path), [], Schedule(7.0, CompactionPolicy(), ExpiryPolicy()), as_json=True)
    said = capsys.readouterr()
    assert json.loads(said.out)["files"] == [str(path)]
    assert said.err.count("error: unexpected ValidationError: ") == 5  # three tasks in the first round, then two
    assert rounds == [7.0, 7.0]
    lake.close()


def test_a_compaction_says_what_it_did_or_that_there_was_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    made = Compacted("gold.fuel", False, removed=3, removed_bytes=2_000_000, added=1, added_bytes=1_000_000)
    print_reports([Compacted("gold.trips", False), made], as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "gold.trips: nothing to put together",
        "gold.fuel: 3 small files, 2.0 MB, put into 1 of 1.0 MB",
    ]
