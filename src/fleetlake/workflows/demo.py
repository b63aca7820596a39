"""The demo: every part of fleetlake once, on real components, and a proof that the counts add up."""

from __future__ import annotations

import fcntl
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from fleetlake.broker.topics import ensure_topics
from fleetlake.config.wiring import embedded_broker, kafka_settings, open_lake_from, open_producer, transform_settings
from fleetlake.contracts.events import EVENTS
from fleetlake.foundation.errors import Missing, Unproven
from fleetlake.foundation.private import make_private_folder
from fleetlake.ingest.native import NativeIngest
from fleetlake.ingest.verify import TopicCheck
from fleetlake.serve.page import TopicCounts, write_page
from fleetlake.serve.query import run_query
from fleetlake.serve.reports import REPORTS, Selection, read_report, write_report
from fleetlake.serve.snapshots import SnapshotRow, list_snapshots
from fleetlake.simulate.faults import FaultRates, Tally
from fleetlake.simulate.run import SimulationReport, SimulationSettings, run_simulation
from fleetlake.transform.runner import run_transform
from fleetlake.workflows.ingest import open_ingest
from fleetlake.workflows.simulate import default_start, simulation_progress, truth_folder
from fleetlake.workflows.verify import check_lake, print_checks

if TYPE_CHECKING:
    from fleetlake.config.settings import Settings
    from fleetlake.lake.catalog import Lake

FAULTS = FaultRates(duplicates=0.01, late=0.02, poison=0.005)
FLUSH_AGE_S = 1.0
DAYS_BACK = 60
LOCK = "demo.lock"
FLEET = "veh"  # of every demo: its days follow each other, so the same vehicles drive again


@dataclass(frozen=True, slots=True)
class _Line:
    """One topic's row of the books: what was produced in this run, and how much the lake has grown."""

    topic: str
    produced: Tally
    grown: Mapping[str, int]

    def differences(self) -> list[str]:
        """What does not add up, empty if all does."""
        expected = {
            "landed": self.produced.sent, "rejected": self.produced.poison, "duplicates": self.produced.duplicates,
            "silver": self.produced.good, "late": self.produced.late,
        }  # fmt: skip
        return [f"{self.topic}: {name} {self.grown[name]}, produced {n}" for name, n in expected.items() if self.grown[name] != n]

    def for_page(self) -> TopicCounts:
        grown = self.grown
        return TopicCounts(self.topic, self.produced.sent, grown["landed"], grown["rejected"], grown["duplicates"])


def run_demo(settings: Settings, *, vehicles: int, seed: int | None) -> None:
    """Runs it all and prints what came of it.

    Raises: Missing if another demo runs in this home; Unproven if the books do not balance.
    """
    with _alone_in(settings.home):
        _run_demo(settings, vehicles=vehicles, seed=seed)


@contextmanager
def _alone_in(home: Path) -> Iterator[None]:
    """Holds the home's lock of demos, which the process takes with it when it ends. Raises: Missing if another demo holds it."""
    make_private_folder(home)
    with (home / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Missing(
                "another demo is running in this home, and each counts by how much the lake has grown",
                where=str(home),
                hint="wait for it, or fleetlake --home DIR --set kafka.port=PORT demo, for a lake and a broker of its own",
            ) from error
        yield


def _run_demo(settings: Settings, *, vehicles: int, seed: int | None) -> None:
    with _step("Kafka"):
        broker = embedded_broker(settings)
        if broker:
            broker.start()
        ensure_topics(kafka_settings(settings), [event.topic for event in EVENTS])
    lake = open_lake_from(settings)
    before = {check.topic: check for check in _settled(settings, lake)}
    start, days = _next_day(lake)
    run = SimulationSettings(vehicles, start, seed=days if seed is None else seed, fleet=FLEET)
    report = _drive_and_ingest(settings, run)
    with _step("silver and gold"):
        run_transform(lake, transform_settings(settings))
    with _step("check"):
        checks = check_lake(settings)
    lines = [_Line(check.topic, report.tallies[check.topic], _growth(check, before.get(check.topic))) for check in checks]

    drove = f"{report.arrived} vehicles drove {report.route_km:.1f} km each"
    print(f"\n{drove}, {report.first:%Y-%m-%d %H:%M} to {report.last:%H:%M} UTC\n")
    _print_books(lines)
    print("\nThe whole lake against Kafka:")
    print_checks(checks, as_json=False)
    print("\nTrips of this run:")
    write_report(read_report(lake, REPORTS["trips"], Selection(start=start, until=start + timedelta(days=1))))
    _print_time_travel(lake)
    with _step("map"):
        page = settings.home / "drives.html"
        write_page(lake, page, counts=[line.for_page() for line in lines], day=start.date())
    _print_next_steps(settings, str(page.resolve()))
    if wrong := [text for line in lines for text in line.differences()] + [text for check in checks for text in check.problems]:
        raise Unproven(
            "the counts do not add up",
            where="; ".join(wrong),
            hint="if something else sent events to these topics meanwhile, run it again when nothing does",
        )


@contextmanager
def _step(what: str) -> Iterator[None]:
    """Says on stderr what is going on, and how long it took."""
    began = time.monotonic()
    yield
    if sys.stderr.isatty():
        print(f"  {what}: {time.monotonic() - began:.1f} s", file=sys.stderr)


def _settled(settings: Settings, lake: Lake) -> list[TopicCheck]:
    """The books before the run, after bringing over what waits in Kafka: of an earlier demo, or of anybody."""
    open_ingest(settings).run(once=True)
    run_transform(lake, transform_settings(settings))
    return check_lake(settings)


def _next_day(lake: Lake) -> tuple[datetime, int]:
    """Where the run starts: the day after the fleet's last event; and how many days of its drives that makes.

    The first is DAYS_BACK before the others' default, so that as many runs are in the past and none arrives late.
    """
    if not lake.has("silver.gps"):
        return default_start() - timedelta(days=DAYS_BACK), 1
    (row,) = run_query(
        lake,
        "SELECT max(event_time) AS last, count(DISTINCT event_time::DATE) AS days FROM silver.gps"
        f" WHERE device_id LIKE '{FLEET}-%'",
    ).to_pylist()
    if row["last"] is None:
        return default_start() - timedelta(days=DAYS_BACK), 1
    day = row["last"].replace(hour=default_start().hour, minute=0, second=0, microsecond=0)
    return day + timedelta(days=1), row["days"] + 1


def _drive_and_ingest(settings: Settings, run: SimulationSettings) -> SimulationReport:
    """The vehicles report while the ingest follows; then the ingest brings over the rest."""
    following = open_ingest(settings, flush_age_s=FLUSH_AGE_S)
    failures: list[BaseException] = []

    def follow(engine: NativeIngest) -> None:
        try:
            engine.run(once=False)
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=follow, args=(following,), name="ingest")
    thread.start()
    try:
        with _step("drive and ingest"), simulation_progress(run) as on_tick, open_producer(settings) as producer:
            report = run_simulation(run, producer, faults=FAULTS, truth_folder=truth_folder(settings, run), on_tick=on_tick)
    finally:
        following.stop()
        thread.join()
    if failures:
        raise failures[0]
    with _step("ingest the rest"):
        open_ingest(settings).run(once=True)
    return report


def _growth(after: TopicCheck, before: TopicCheck | None) -> dict[str, int]:
    names = ("landed", "rejected", "duplicates", "silver", "late")
    return {name: (getattr(after, name) or 0) - (getattr(before, name, 0) or 0) for name in names}


def _print_books(lines: Sequence[_Line]) -> None:
    heads = ("topic", "produced", "landed", "poison", "quarantined", "doubled", "deduplicated", "late", "flagged", "silver")
    print("This run: what was produced, and by how much the lake has grown")
    print(f"{heads[0]:<16}" + "".join(f"{head:>13}" for head in heads[1:]))
    for line in lines:
        made, grown = line.produced, line.grown
        counts = (
            made.sent, grown["landed"], made.poison, grown["rejected"], made.duplicates, grown["duplicates"],
            made.late, grown["late"], grown["silver"],
        )  # fmt: skip
        verdict = "adds up" if not line.differences() else "DOES NOT ADD UP"
        print(f"{line.topic:<16}" + "".join(f"{count:>13,}" for count in counts) + f"  {verdict}")


def _print_time_travel(lake: Lake) -> None:
    """One query twice: now, and as of a snapshot from the middle of the drive."""
    snapshots = [row for row in list_snapshots(lake, "bronze.gps") if row.added_rows]
    middle: SnapshotRow = snapshots[max(len(snapshots) // 2 - 1, 0)]
    sql = "SELECT count(*) AS fixes, max(event_time) AS last_seen FROM bronze.gps"
    print(f"\nTime travel: {sql}")
    for label, as_of in (("now", None), (f"--as-of {middle.snapshot_id}", middle.snapshot_id)):
        row = run_query(lake, sql, as_of).to_pylist()[0]
        print(f"  {label:<30} {row['fixes']:>9,} fixes, the last at {row['last_seen']:%Y-%m-%d %H:%M:%S} UTC")


def _print_next_steps(settings: Settings, page: str) -> None:
    home = settings.home.resolve()
    print(f"\nMap:     {page}\nTables:  {home}/warehouse (Iceberg, catalog {home}/catalog.db)\nTry:")
    for command in (
        'fleetlake query "SELECT device_id, count(*) AS stops FROM gold.stops GROUP BY ALL ORDER BY ALL"',
        "fleetlake report scores --explain --html scores.html",
        "fleetlake quarantine --topic gps_data",
        "fleetlake snapshots bronze.gps",
        "fleetlake verify",
        "fleetlake down",
    ):
        print(f"  .venv/bin/{command}")
