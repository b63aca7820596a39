"""A catalog that was lost, or is older than its warehouse: it is no empty lake, and what it does not know is no orphan."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from tests.filled_lakes import TABLES, WIRING, append, fill, seen, without_identity

from fleetlake.config.settings import Settings
from fleetlake.config.wiring import adopt_lake, open_existing_lake, open_lake_from
from fleetlake.contracts.events import VEHICLE
from fleetlake.foundation.errors import Permanent
from fleetlake.ingest.offsets import KafkaTopicState
from fleetlake.ingest.table_writer import TableWriter
from fleetlake.lake import identity
from fleetlake.lake.relocation import CatalogTable
from fleetlake.lake.unlisted import Claimed
from fleetlake.maintain.compaction import CompactionPolicy, compact
from fleetlake.maintain.erase import erase_device
from fleetlake.maintain.expiry import expire
from fleetlake.maintain.orphans import delete_orphans
from fleetlake.maintain.retention import ExpiryPolicy
from fleetlake.workflows.diagnose import examine


def lose(home: Path, how: str) -> None:
    """The catalog is deleted, emptied, or an older one of two tables less."""
    catalog = home / "catalog.db"
    if how == "deleted":
        catalog.unlink()
    elif how == "emptied":
        catalog.write_bytes(b"")
    else:
        with closing(sqlite3.connect(catalog)) as connection, connection:
            connection.execute("DELETE FROM iceberg_tables WHERE table_name = 'weather'")


@pytest.mark.parametrize("how", ["deleted", "emptied", "older"])
@pytest.mark.parametrize("age", ["with an identity", "of 556f44c"])
def test_a_lake_that_lost_its_catalog_is_no_empty_lake(tmp_path: Path, how: str, age: str) -> None:
    """Made again, empty, it would have the only copy of its rows for orphans."""
    home = tmp_path / "lake"
    fill(home)
    if age == "of 556f44c":
        without_identity(home)
    backup = (home / "catalog.db").read_bytes()
    before = seen(home)
    lose(home, how)
    files = {path for path in home.rglob("*") if path.is_file()}
    lost = "bronze.weather" if how == "older" else "bronze.vehicle, bronze.weather"
    of_lake = "" if age == "of 556f44c" else rf" \(lake [0-9a-f]{{32}} of catalog {home}/catalog\.db\)"
    words = (
        rf"the warehouse file://{home}/warehouse holds rows of {lost}{of_lake} that this catalog does not know: it is missing, or"
    )
    for attempt in (open_lake_from, lambda settings: open_existing_lake(settings, to_write=True), adopt_lake):
        with pytest.raises(Claimed, match=words + r".* try: bring the catalog back from a backup"):
            attempt(Settings(home=home))
    assert {path for path in home.rglob("*") if path.is_file()} == files
    (finding,) = (one for one in examine(Settings(home=home)) if one.what == "lake")
    assert (finding.state, f"holds rows of {lost}" in finding.seen) == ("broken", True)
    (home / "catalog.db").write_bytes(backup)
    open_lake_from(Settings(home=home)).close()
    assert seen(home) == before


def test_no_table_is_made_over_the_rows_of_one_that_the_catalog_lost(tmp_path: Path) -> None:
    """Whatever the catalog is, and also if it loses a table while it is open."""
    fill(tmp_path / "lake")
    with closing(open_lake_from(Settings(home=tmp_path / "lake"))) as lake:
        lake.catalog.drop_table("bronze.weather")
        with pytest.raises(Claimed, match=r"holds rows of bronze.weather"):
            lake.ensure(TABLES)
        shutil.rmtree(tmp_path / "lake" / "warehouse" / "bronze" / "weather")
        lake.ensure(TABLES)
        lake.catalog.drop_table("bronze.weather")  # without a row there is nothing to lose
        lake.ensure(TABLES)


def test_a_table_that_another_process_makes_meanwhile_is_no_lost_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at the catalog and the one at the warehouse."""
    home = tmp_path / "lake"
    with closing(open_lake_from(Settings(home=home))) as other:
        look, looks = identity.tables_of, []

        def tables_of(connection: sqlite3.Connection) -> list[CatalogTable]:
            found = look(connection)
            looks.append(found)
            if len(looks) == 2:
                other.ensure(TABLES)
                append(other, TABLES[0].name, 0)
            return found

        monkeypatch.setattr(identity, "tables_of", tables_of)
        open_lake_from(Settings(home=home)).close()
    assert [len(found) for found in looks] == [0, 0, 2]


def test_what_an_older_catalog_does_not_know_is_no_orphan(tmp_path: Path) -> None:
    home = tmp_path / "lake-1-of-9-00077-x"  # numbers that are not the metadata's
    fill(home, range(1))
    backup = (home / "catalog.db").read_bytes()
    with closing(open_lake_from(Settings(home=home))) as lake:
        for offset in (1, 2):
            append(lake, TABLES[0].name, offset)
    newest = (home / "catalog.db").read_bytes()
    (home / "catalog.db").write_bytes(backup)
    for path in home.rglob("*"):
        os.utime(path, (time.time() - 9 * 86_400,) * 2)
    files = set(home.rglob("*.parquet"))
    with closing(open_lake_from(Settings(home=home))) as lake:
        with pytest.raises(Permanent, match=r"the catalog is older than the warehouse: it has version \d+ of table bronze.vehicle"):
            delete_orphans(lake, TABLES[0].name, timedelta(0), wait=lambda attempt: None)
        writer = TableWriter(lake, TABLES[0].name, job="job", wait=lambda attempt: None)
        for attempt in (
            lambda: erase_device(lake, "veh-1", WIRING),
            lambda: expire(lake, TABLES[0].name, ExpiryPolicy(newest=1, hourly_s=0), wait=lambda attempt: None),
            lambda: compact(lake, TABLES[0].name, CompactionPolicy(), wait=lambda attempt: None),
            lambda: writer.take_over(KafkaTopicState(VEHICLE.topic, "cluster", "topic", {0: (0, 9)})),
        ):
            with pytest.raises(Permanent, match="the catalog is older than the warehouse"):
                attempt()
    (finding,) = (one for one in examine(Settings(home=home)) if one.what == "lake")
    assert (finding.state, "older than the warehouse" in finding.seen) == ("broken", True)
    assert set(home.rglob("*.parquet")) == files
    (home / "catalog.db").write_bytes(newest)
    with closing(open_lake_from(Settings(home=home))) as lake:
        assert delete_orphans(lake, TABLES[0].name, timedelta(0), wait=lambda attempt: None).files == ()
