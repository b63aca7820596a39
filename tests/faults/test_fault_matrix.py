"""The fault matrix in short: each scenario once. `python -m tests.faults` plays it with as many seeds as one likes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pyarrow as pa
import pytest

from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import VEHICLE
from fleetlake.contracts.tables import bronze_of
from fleetlake.lake.catalog import open_lake
from fleetlake.lake.commits import commit
from fleetlake.lake.write import write_files
from tests.faults.__main__ import Row, table
from tests.faults.oracle import check_snapshot, check_table
from tests.faults.records import T0
from tests.faults.scenarios import NATIVE, Scenario, play
from tests.faults.servers import Servers
from tests.faults.world import local_lake

SEED = 1
SHORT = ("metadata_written", "swapped")  # of kills, zombies and maintenance, those in the middle of a commit
LONG = (
    "flood of copies", "flood of late events", "conflicts with maintenance", "catalog locked", "commit landed, answer lost",
    "S3 resets connections", "S3 does it, its answer is lost", "S3 slow or silent",
    "maintenance asleep in a commit", "clock set back beside maintenance",
)  # fmt: skip
OWN_TESTS = ("broker killed and restarted", "disk full")  # tests/integration/test_outage.py; a mount needs root
CHOSEN = [
    scenario
    for scenario in NATIVE
    if scenario.name not in (*OWN_TESTS, *LONG)
    and (not scenario.name.startswith(("kill -9 at ", "zombie", "maintenance in ")) or scenario.name.endswith(SHORT))
]


@pytest.fixture(scope="module")
def servers(broker: EmbeddedBroker) -> Iterator[Servers]:
    with Servers(broker) as made:
        yield made


@pytest.mark.parametrize("scenario", CHOSEN, ids=lambda scenario: scenario.name)
def test_nothing_is_lost_or_doubled(scenario: Scenario, servers: Servers) -> None:
    verdict = play(scenario, SEED, servers)
    assert verdict.holds, f"{verdict}; python -m tests.faults --only '{scenario.name}' --seed {SEED}"
    assert verdict.snapshots > 0


def test_a_seed_draws_the_same_plan_again() -> None:
    for scenario in NATIVE:
        assert scenario.plan(Random("7")) == scenario.plan(Random("7"))


def test_a_table_says_which_seeds_it_is_of_and_what_had_no_turn() -> None:
    played, left = Row(NATIVE[0], played=2, looks=9), Row(NATIVE[1])
    assert (played.holds, left.holds) == (True, False)
    first, _, line, _, last = table([played, left], [3, 4])
    assert (first, line.split()[-5:]) == ("seeds from 3 to 4", ["2", "9", "0", "0", "0"])
    assert last.startswith("1 of 2 scenarios were not played")
    assert len(table([played], [3, 4])) == 3


def test_the_oracle_sees_what_is_lost_doubled_or_not_what_was_sent(tmp_path: Path) -> None:
    lake = open_lake(local_lake(tmp_path))
    try:
        definition = bronze_of(VEHICLE)
        lake.ensure([definition])
        rows: dict[str, list[object]] = {name: [None] * 3 for name in table_schema(definition).names}
        rows |= {"kafka_partition": [0, 0, 0], "kafka_offset": [0, 2, 2], "event_id": ["a", "c", "other"], "ingested_at": [T0] * 3}
        table = lake.table(definition.name)
        commit(table, added=write_files(table, pa.table(rows, schema=table_schema(definition)), folder="f"), properties={})
        verdict = check_table(table, {(0, 0): b'{"id": "a"}', (0, 1): b'{"id": "b"}', (0, 2): b'{"id": "c"}'})
    finally:
        lake.close()
    assert (verdict.lost, verdict.doubled) == (1, 1)
    assert verdict.wrong == ["bronze.vehicle: the row at (0, 2) is not what its record holds"]
    seen = check_snapshot([(0, 0), (0, 2), (0, 2)], {}, [])
    assert (seen.lost, seen.doubled) == (1, 1)
    assert check_snapshot([(0, 0), (0, 2)], {}, [(0, 1)]).holds
