"""`fleetlake evaluate`: fleets of its own are told exactly, and a lake that lost something is found out."""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from fleetlake.cli.main import main
from fleetlake.config.settings import Settings
from fleetlake.config.wiring import open_lake_from, transform_settings
from fleetlake.evaluate.accuracy import MEASURES
from fleetlake.evaluate.run import CONDITIONS, land_run
from fleetlake.lake.commits import commit
from fleetlake.lake.write import write_files
from fleetlake.simulate.faults import FaultRates
from fleetlake.simulate.run import SimulationSettings, run_simulation
from fleetlake.transform.runner import run_transform

START = datetime(2026, 1, 5, 6, tzinfo=UTC)
VEHICLES = 3
Evaluate = Callable[..., tuple[int, str, str]]


@pytest.fixture
def evaluate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Evaluate:
    """Runs the command: exit code, stdout, stderr."""

    def run(*arguments: str, home: Path | None = None) -> tuple[int, str, str]:
        before = ["--home", str(home)] if home else []
        monkeypatch.setattr("sys.argv", ["fleetlake", *before, "evaluate", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return run


def test_small_fleets_of_its_own(evaluate: Evaluate) -> None:
    code, out, err = evaluate("--vehicles", "6", "--seed", "4", "--json")
    assert (code, err) == (0, "")
    measured = json.loads(out)
    assert [(row["condition"], row["measure"]) for row in measured] == [(c.name, m) for c in CONDITIONS for m in MEASURES]
    found = defaultdict(list)
    for row in measured:
        found[row["condition"]].append(row)
    assert all(row["true"] > 0 for row in measured), "each measure has something to measure"
    assert all(row["precision"] == row["recall"] == 1.0 for row in found["default"])
    assert found["default"][0]["distance_error_percent"]["worst"] < 0.1
    assert found["noise"][0]["distance_error_percent"]["median"] > 0.1, "the fixes have noise"
    assert {row["interval_s"] for row in found["30 s"]} == {30}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Home of a lake that holds one run; below it also the truth of a run that it does not hold."""
    home = tmp_path_factory.mktemp("evaluated") / "home"
    run = SimulationSettings(VEHICLES, START, tick_s=30, seed=2)
    with closing(open_lake_from(Settings(home=home))) as lake:
        land_run(lake, run, FaultRates(dropped_fixes=0.02), home / "truth" / "held")
        run_transform(lake, transform_settings(Settings(home=home)))
    run_simulation(SimulationSettings(1, START, tick_s=60, seed=3), Nowhere(), truth_folder=home / "truth" / "elsewhere")
    (home / "truth" / "unfinished").mkdir()
    return home


class Nowhere:
    def send(self, *_: object) -> None: ...

    def flush(self) -> None: ...


@pytest.fixture
def without_a_trip(filled: Path) -> Iterator[None]:
    """While the test runs, gold lacks the first trip."""
    with closing(open_lake_from(Settings(home=filled))) as lake:
        whole = lake.table("gold.trips").scan().to_arrow().sort_by("device_id")

        def rewrite(rows: pa.Table) -> None:
            table = lake.table("gold.trips")
            old = [task.file for task in table.scan().plan_files()]
            commit(table, added=write_files(table, rows, folder=uuid.uuid4().hex), removed=old, properties={})

        rewrite(whole.slice(1))
        yield
        rewrite(whole)


def test_a_lake_by_all_the_truth_it_has(evaluate: Evaluate, filled: Path) -> None:
    code, out, err = evaluate("--lake", home=filled)
    assert code == 0, err
    lines = out.splitlines()
    assert [line.split()[:5] for line in lines[1:3]] == [
        ["held", "trips", "3", "3", "3"],
        ["held", "stops", *[lines[2].split()[2]] * 3],
    ]
    assert len(lines) == 1 + len(MEASURES)
    assert "left out: the lake has no reports of this run" in err
    assert "left out: not the truth of a simulation" in err


def test_a_lost_trip_is_found_out(evaluate: Evaluate, filled: Path, without_a_trip: None) -> None:
    code, out, err = evaluate("--truth", str(filled / "truth" / "held"), home=filled)
    assert code == 1
    shortfall = "recall of trips 0.6667 (2 of 3), below 0.95"
    assert f"error: gold does not tell what happened; at held: {shortfall}; try: fleetlake transform" in err
    assert "held: trips: missed sim2-00000 2026-01-05 06:00:00 to " in out
    code, out, _ = evaluate("--truth", str(filled / "truth" / "held"), "--json", home=filled)
    assert code == 1
    trips = next(row for row in json.loads(out) if row["measure"] == "trips")
    assert (trips["true"], trips["found"], trips["recall"], trips["interval_s"]) == (3, 2, pytest.approx(2 / 3), 30.0)
    assert [episode["device_id"] for episode in trips["missed"]] == ["sim2-00000"]
    assert trips["shortfalls"] == [shortfall]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--vehicles", "0"), "error: 0 vehicles; allowed: 1 to"),
        (("--lake", "--seed", "1"), "error: --vehicles and --seed are of fleets it drives"),
        (("--truth", "{home}"), "error: not the truth of a simulation; at {home}; allowed: a folder with trips.parquet, "),
        (("--truth", "{home}/truth/elsewhere"), "error: the lake has no reports of this run; at {home}/truth/elsewhere"),
    ],
)
def test_what_can_not_be_compared(evaluate: Evaluate, filled: Path, arguments: tuple[str, ...], said: str) -> None:
    code, out, err = evaluate(*(argument.format(home=filled) for argument in arguments), home=filled)
    assert (code, out) == (2, "")
    assert err.startswith(said.format(home=filled))


def test_there_is_no_lake_or_no_truth(evaluate: Evaluate, tmp_path: Path) -> None:
    code, _, err = evaluate("--lake", home=tmp_path / "none")
    assert (code, "no lake at" in err) == (2, True)
    open_lake_from(Settings(home=tmp_path / "empty")).close()
    code, _, err = evaluate("--lake", home=tmp_path / "empty")
    assert (code, "no truth of a simulation" in err) == (2, True)
