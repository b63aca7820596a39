"""fleetlake simulate: what goes to stdout, what to stderr, what is left on disk, and with which exit code."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from fleetlake.cli.main import main
from fleetlake.contracts.events import EVENTS, event_for_topic
from fleetlake.contracts.validation import parse

SMALL = ("--vehicles", "1", "--tick", "30", "--start-time", "2026-07-01T10:00:00Z", "--to", "ndjson")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["fleetlake", "simulate", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_json_lines_to_stdout_and_counts_that_agree_to_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    faults = "duplicates=0.05,late=0.05,poison=0.05"
    assert run(monkeypatch, *SMALL, "--faults", faults, "--json") == 0
    out, err = capsys.readouterr()
    records = [json.loads(line) for line in out.splitlines()]
    counts = json.loads(err)
    assert (counts["arrived"], counts["vehicles"], counts["first"]) == (1, 1, "2026-07-01T10:00:00Z")
    assert Counter(record["topic"] for record in records) == {t: tally["sent"] for t, tally in counts["tallies"].items()}
    rejected = Counter(
        record["topic"]
        for record in records
        if "value" not in record or parse(event_for_topic(record["topic"]), record["value"].encode()).reject_reason
    )
    assert rejected == {topic: tally["poison"] for topic, tally in counts["tallies"].items()}
    assert len(rejected) == len(EVENTS)


def test_a_table_for_people_and_the_truth_where_it_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, *SMALL, "--seed", "9") == 0
    text = capsys.readouterr().err
    assert "1 of 1 vehicles have arrived in Birmingham" in text
    assert all(event.topic in text for event in EVENTS)
    (folder,) = (tmp_path / ".fleetlake" / "truth").iterdir()
    assert folder.name.startswith("20260701T100000Z-sim9-seed9-")
    assert str(folder.relative_to(tmp_path)) in text
    assert {path.stem for path in folder.iterdir()} == {"trips", "stops", "harsh_events", "overspeed"}
    assert pq.read_table(folder / "trips.parquet").column("device_id").to_pylist() == ["sim9-00000"]


def test_runs_of_one_start_and_seed_keep_each_others_truth(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for more in ((), ("--fleet", "north"), ("--tick", "60"), ("--speedup", "1e9")):
        assert run(monkeypatch, *SMALL, *more) == 0
    assert len(list((tmp_path / ".fleetlake" / "truth").iterdir())) == 3  # the speed-up makes no other run
    assert '"deviceId\\":\\"north-00000' in capsys.readouterr().out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_with_everything_delivered_and_counted(tmp_path: Path, number: int, code: int) -> None:
    command = [sys.executable, "-m", "fleetlake.cli.main", "simulate", *SMALL, "--speedup", "0.01", "--json"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    truth = tmp_path / ".fleetlake" / "truth"
    try:
        while not (truth.exists() and any(truth.iterdir())):  # made just before it drives; the signals are caught by then
            assert process.poll() is None
        process.send_signal(number)
        out, err = process.communicate(timeout=60)  # its next tick would be due in 3000 s
    finally:
        process.kill()
    assert process.returncode == code
    said, counts = err.splitlines()
    assert said == "interrupted; what was sent until then:"
    sent = Counter(json.loads(line)["topic"] for line in out.splitlines())
    assert sent == {topic: tally["sent"] for topic, tally in json.loads(counts)["tallies"].items()}
    assert set(sent.values()) <= {1, 2}
    assert json.loads(counts)["arrived"] == 0


def test_the_same_command_twice_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = []
    for speedup in ("max", "1e9"):
        assert run(monkeypatch, *SMALL, "--speedup", speedup, "--faults", "late=0.1,duplicates=0.1") == 0
        outputs.append(sorted(capsys.readouterr().out.splitlines()))
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--vehicles", "0"), "0 vehicles; allowed: 1 to 1,000,000"),
        (("--tick", "61"), "a tick of 61 s; allowed: 1 to 60 s"),
        (("--seed", "-1"), "seed -1; allowed: 0 or more"),
        (("--fleet", "a b"), "a fleet called 'a b'; allowed: 1 to 40 letters, digits, dashes and underscores"),
        (("--speedup", "fast"), "--speedup fast; allowed: a number, or max"),
        (("--speedup", "nan"), "--speedup nan; allowed: a number, or max"),
        (("--speedup", "0"), "a speed-up of 0; allowed: 0.001 or more, or max"),
        (("--faults", "lates=0.1"), "--faults lates=0.1 is not understood; allowed: duplicates, late, poison"),
        (("--start-time", "9999-12-31"), "allowed: with a time zone, years 1970 to 2099"),
        (("--truth", "/dev/null/truth"), "the truth can't be written: Not a directory; at /dev/null/truth"),
        (("--start-time", "yesterday"), "Invalid value for '--start-time'"),
        (("--to", "nowhere"), "Invalid value for '--to'"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert run(monkeypatch, "--to", "ndjson", *arguments) == 2
    out, err = capsys.readouterr()
    assert said in err
    assert out == ""
    assert "Traceback" not in err
