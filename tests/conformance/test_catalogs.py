"""One behaviour suite for every catalog: SQLite with local files, and Glue with S3."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException

from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import VEHICLE
from fleetlake.contracts.gold import TRIPS
from fleetlake.contracts.iceberg import iceberg_schema
from fleetlake.contracts.tables import all_tables, bronze_of
from fleetlake.foundation.errors import BadInput, Fenced, Missing, Retryable
from fleetlake.ingest.offsets import KafkaTopicState
from fleetlake.ingest.table_writer import TableWriter
from fleetlake.lake.aws_properties import aws_properties
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.lake.commits import Conflict, UnknownOutcome, commit
from fleetlake.lake.identity import require_own
from fleetlake.lake.scan import Damaged, added_files, damage_named, expose
from fleetlake.lake.unlisted import Claimed
from fleetlake.lake.write import write_files
from tests.aws_server import KEY, REGION, SECRET, AwsServer, aws_server
from tests.conftest import free_ports
from tests.glue_front import GlueFront, glue_front
from tests.s3_server import BUCKET, S3Server

TABLE = bronze_of(VEHICLE)
SOURCE = KafkaTopicState("vehicle_data", "cluster", "topic", {0: (0, 1000)})
Commit = Callable[..., Any]


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsServer]:
    with aws_server(tmp_path_factory.mktemp("aws"), free_ports()) as server:
        yield server


@pytest.fixture
def glue(aws: AwsServer) -> Iterator[GlueFront]:
    with glue_front(aws.endpoint) as front:
        yield front
        aws.reset()


def glue_settings(front: GlueFront, s3: S3Server, folder: Path) -> LakeSettings:
    given = {"type": "glue", "warehouse": f"s3://{BUCKET}/{folder.name}", "glue.endpoint": front.endpoint, **s3.properties}
    keys = {"glue.access-key-id": KEY, "glue.secret-access-key": SECRET}
    return LakeSettings("glue", aws_properties(given | keys, region=REGION))


@pytest.fixture(params=["sqlite", "glue"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> LakeSettings:
    if request.param == "sqlite":
        catalog = {"type": "sql", "uri": f"sqlite:///{tmp_path}/c.db", "warehouse": f"file://{tmp_path}/w"}
        return LakeSettings("local", catalog)
    return glue_settings(request.getfixturevalue("glue"), request.getfixturevalue("s3"), tmp_path)


@pytest.fixture
def lake(settings: LakeSettings) -> Iterator[Lake]:
    made = open_lake(settings)
    made.ensure([TABLE])
    yield made
    made.close()


@pytest.fixture
def glue_lake(glue: GlueFront, s3: S3Server, tmp_path: Path) -> Iterator[Lake]:
    made = open_lake(glue_settings(glue, s3, tmp_path))
    made.ensure([TABLE])
    yield made
    made.close()


def rows(first: int, after: int) -> pa.Table:
    columns = {name: [None] * (after - first) for name in table_schema(TABLE).names}
    return pa.table(columns | {"kafka_partition": [0] * (after - first), "kafka_offset": range(first, after)}, table_schema(TABLE))


def append(lake: Lake, first: int, after: int) -> None:
    table = lake.table(TABLE.name)
    commit(table, added=write_files(table, rows(first, after), folder=f"{first}"), properties={})


def offsets(lake: Lake) -> list[int]:
    scanned: list[int] = lake.table(TABLE.name).scan(selected_fields=("kafka_offset",)).to_arrow()["kafka_offset"].to_pylist()
    return sorted(scanned)


def writer(lake: Lake) -> TableWriter:
    return TableWriter(lake, TABLE.name, job="test", wait=lambda attempt: None)


def interfere(lake: Lake, monkeypatch: pytest.MonkeyPatch, *steps: Callable[[Commit, tuple[Any, ...]], Any]) -> None:
    """Each of the next commits is given to one of `steps`, with the catalog's own commit."""
    real, left = lake.catalog.commit_table, list(steps)
    monkeypatch.setattr(lake.catalog, "commit_table", lambda *given: left.pop(0)(real, given) if left else real(*given))


def lost(real: Commit, given: tuple[Any, ...]) -> None:
    raise CommitStateUnknownException("no reply, and it never arrived")


def landed(real: Commit, given: tuple[Any, ...]) -> None:
    real(*given)
    raise CommitStateUnknownException("landed, but the reply was lost")


def test_all_tables_are_made_and_made_once(lake: Lake) -> None:
    lake.ensure(all_tables())
    versions = {name: lake.table(name).metadata_location for name in lake.names()}
    assert list(versions) == sorted(table.name for table in all_tables())
    lake.ensure(all_tables())
    assert {name: lake.table(name).metadata_location for name in lake.names()} == versions
    for contract in all_tables():
        made = lake.table(contract.name)
        assert {field.name: field.required for field in made.schema().fields} == {c.name: c.required for c in contract.columns}
        assert [field.name for field in made.spec().fields] == [f"{contract.partition_by}_day"]


def test_of_many_who_make_a_table_all_get_the_same(settings: LakeSettings) -> None:
    def make(_: int) -> str:
        lake = open_lake(settings)
        lake.ensure([TABLE])
        made = str(lake.table(TABLE.name).metadata.table_uuid)
        lake.close()
        return made

    open_lake(settings).close()  # SQLite's own tables
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(make, range(4)))) == 1


def test_a_missing_table_is_named_with_those_there_are(lake: Lake) -> None:
    with pytest.raises(Missing, match=r"no table gold\.tirps.*allowed: bronze\.vehicle"):
        lake.table("gold.tirps")
    assert (lake.has(TABLE.name), lake.has("gold.tirps"), lake.has("nowhere.at_all")) == (True, False, False)


def test_a_commit_on_an_older_table_is_refused_and_changes_nothing(lake: Lake) -> None:
    stale = lake.table(TABLE.name)
    append(lake, 0, 3)
    with pytest.raises(Conflict):
        commit(stale, added=write_files(stale, rows(0, 3), folder="b"), properties={"to": "wrong"})
    assert offsets(lake) == [0, 1, 2]
    assert "to" not in lake.table(TABLE.name).properties


def test_of_writers_at_once_each_commit_lands_or_conflicts(settings: LakeSettings, lake: Lake) -> None:
    def write(number: int) -> int:
        mine = open_lake(settings)
        table = mine.table(TABLE.name)
        files = write_files(table, rows(number, number + 1), folder=f"w{number}")
        try:
            commit(table, added=files, properties={})
        except (Conflict, UnknownOutcome):
            return 0
        finally:
            mine.close()
        return 1

    with ThreadPoolExecutor(4) as pool:
        came_through = sum(pool.map(write, range(8)))
    assert came_through >= 1
    assert len(offsets(lake)) == came_through


def test_files_can_be_replaced_and_the_past_be_read(lake: Lake) -> None:
    append(lake, 0, 2)
    first = lake.table(TABLE.name).current_snapshot()
    append(lake, 2, 4)
    table = lake.table(TABLE.name)
    gone = next(file for file in added_files(table, 0) if "/data/0/" in file.file_path)
    commit(table, added=write_files(table, rows(10, 11), folder="c"), removed=[gone], properties={})
    assert offsets(lake) == [2, 3, 10]
    assert first is not None
    with duckdb.connect() as con:
        for snapshot_id, expected in ((None, [(2,), (3,), (10,)]), (first.snapshot_id, [(0,), (1,)])):
            expose(con, lake.table(TABLE.name), "bronze.vehicle", snapshot_id=snapshot_id)
            assert con.sql("SELECT kafka_offset FROM bronze.vehicle ORDER BY 1").fetchall() == expected


def test_a_missing_file_is_named(lake: Lake) -> None:
    append(lake, 0, 2)
    table = lake.table(TABLE.name)
    (file,) = added_files(table, 0)
    table.io.delete(file.file_path)

    def read() -> None:
        with duckdb.connect() as con, damage_named(con):
            expose(con, table, "bronze.vehicle")
            con.sql("SELECT sum(kafka_offset) FROM bronze.vehicle").fetchall()

    with pytest.raises(Damaged, match=r"data file .*data/0/none\.parquet of table bronze\.vehicle is missing or damaged"):
        read()


def test_a_derived_table_gets_the_columns_it_lacks(lake: Lake) -> None:
    lake.ensure([replace(TRIPS, columns=TRIPS.columns[:-3])])
    lake.ensure([TRIPS])
    assert lake.table(TRIPS.name).schema().column_names == [column.name for column in TRIPS.columns]
    assert [field.field_id for field in lake.table(TRIPS.name).schema().fields] == [column.id for column in TRIPS.columns]


def test_a_column_is_added_though_another_commit_was_first(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.ensure([replace(TRIPS, columns=TRIPS.columns[:-1])])
    other = lake.table(TRIPS.name)

    def overtaken(real: Commit, given: tuple[Any, ...]) -> Any:
        commit(other, properties={"other": "first"})
        return real(*given)

    def refused(real: Commit, given: tuple[Any, ...]) -> Any:
        raise CommitFailedException("moved")

    interfere(lake, monkeypatch, refused, overtaken)
    lake.ensure([TRIPS])
    assert lake.table(TRIPS.name).schema().column_names[-1] == TRIPS.columns[-1].name
    assert lake.table(TRIPS.name).properties["other"] == "first"


def test_a_table_made_anew_takes_no_commit_for_the_old_one(lake: Lake) -> None:
    append(lake, 0, 3)
    old = lake.table(TABLE.name)
    files = write_files(old, rows(3, 5), folder="late")
    lake.make_anew(TABLE.name)
    with pytest.raises(Retryable):
        commit(old, added=files, properties={})
    assert offsets(lake) == []


def test_a_second_writer_goes_on_and_fences_the_first(lake: Lake) -> None:
    first, second = writer(lake), writer(lake)
    first.take_over(SOURCE)
    first.append([rows(0, 5)], {0: 5}, 0)
    assert second.take_over(SOURCE) == {0: 5}
    with pytest.raises(Fenced):
        first.append([rows(5, 9)], {0: 9}, 0)
    second.append([rows(5, 7)], {0: 7}, 0)
    assert offsets(lake) == list(range(7))


@pytest.mark.parametrize("fault", [lost, landed])
def test_a_reply_that_is_lost_doubles_and_loses_nothing(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, fault: Callable[[Commit, tuple[Any, ...]], None]
) -> None:
    w = writer(lake)
    w.take_over(SOURCE)
    interfere(lake, monkeypatch, fault)
    w.append([rows(0, 5)], {0: 5}, 0)
    w.append([rows(5, 6)], {0: 6}, 0)
    assert offsets(lake) == list(range(6))


def test_a_commit_that_arrives_late_is_refused(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    late: list[Callable[[], object]] = []

    def delayed(real: Commit, given: tuple[Any, ...]) -> None:
        late.append(lambda: real(*given))
        raise CommitStateUnknownException("no reply yet")

    w = writer(lake)
    w.take_over(SOURCE)
    interfere(lake, monkeypatch, delayed)
    w.append([rows(0, 5)], {0: 5}, 0)
    with pytest.raises(CommitFailedException):
        late[0]()
    assert offsets(lake) == list(range(5))


def test_glue_refuses_what_was_built_on_an_older_version(glue_lake: Lake, glue: GlueFront, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have looked at the same version before either writes: it is Glue that has to tell them apart."""
    first, second = glue_lake.table(TABLE.name), glue_lake.table(TABLE.name)
    catalog: Any = glue_lake.catalog
    update = catalog._update_glue_table

    def overtaken(**given: Any) -> None:
        monkeypatch.setattr(catalog, "_update_glue_table", update)
        commit(second, added=write_files(second, rows(10, 12), folder="second"), properties={})
        update(**given)

    monkeypatch.setattr(catalog, "_update_glue_table", overtaken)
    with pytest.raises(Conflict):
        commit(first, added=write_files(first, rows(0, 3), folder="first"), properties={})
    assert offsets(glue_lake) == [10, 11]
    assert glue.calls.count("UpdateTable") == 2


def test_an_answer_of_glue_lost_on_the_wire_is_no_conflict(glue_lake: Lake, glue: GlueFront) -> None:
    """boto3 sends the request again, and it conflicts with itself. Its files are in the table: nobody may delete them."""
    table = glue_lake.table(TABLE.name)
    glue.faults["UpdateTable"] = ["lose"]
    with pytest.raises(UnknownOutcome, match="refused a request sent again"):
        commit(table, added=write_files(table, rows(0, 3), folder="a"), properties={})
    assert glue.calls.count("UpdateTable") == 2
    assert offsets(glue_lake) == [0, 1, 2]


def test_the_ingest_settles_an_answer_of_glue_lost_on_the_wire(glue_lake: Lake, glue: GlueFront) -> None:
    w = writer(glue_lake)
    w.take_over(SOURCE)
    glue.faults["UpdateTable"] = ["lose", "", "500 InternalServiceException", "ThrottlingException"]
    w.append([rows(0, 5)], {0: 5}, 0)
    w.append([rows(5, 6)], {0: 6}, 0)
    assert offsets(glue_lake) == list(range(6))
    assert w.marker.next == {0: 6}


def test_a_commit_that_glue_forbids_is_told_at_once_and_leaves_the_table(glue_lake: Lake, glue: GlueFront) -> None:
    w = writer(glue_lake)
    w.take_over(SOURCE)
    before = glue.calls.count("UpdateTable")
    glue.faults["UpdateTable"] = ["403 AccessDeniedException"] * 20
    with pytest.raises(BadInput, match="the credentials may not do this"):
        w.append([rows(0, 5)], {0: 5}, 0)
    assert glue.calls.count("UpdateTable") == before + 1
    assert offsets(glue_lake) == []


def test_of_an_account_that_is_shared_just_our_databases_are_asked_for(glue_lake: Lake, glue: GlueFront) -> None:
    glue_lake.catalog.create_namespace("accounting")
    glue_lake.catalog.create_table("accounting.invoices", iceberg_schema(TABLE))
    glue.calls.clear()
    assert glue_lake.names() == [TABLE.name]
    assert set(glue.calls) <= {"GetTables", "GetDatabase"}, "GetDatabases needs a permission on all of the account's"


def test_a_namespace_does_not_stay_behind_a_table_that_could_not_be_made(glue_lake: Lake, glue: GlueFront) -> None:
    glue.faults["CreateTable"] = ["403 AccessDeniedException"]
    with pytest.raises(BadInput, match="the credentials may not do this"):
        glue_lake.ensure([TRIPS])
    assert glue_lake.catalog.list_namespaces() == [("bronze",)]
    glue_lake.ensure([TRIPS])
    assert glue_lake.has(TRIPS.name)


def test_homes_share_a_lake_in_glue_and_no_other_catalog_takes_its_prefix(glue_lake: Lake, tmp_path: Path) -> None:
    first = require_own(glue_lake, tmp_path / "one", say=print)
    assert require_own(glue_lake, tmp_path / "two", say=print) == first
    assert (tmp_path / "two" / "lake.json").is_file()
    properties = {name: str(value) for name, value in glue_lake.catalog.properties.items() if name.startswith(("s3.", "warehouse"))}

    def local(name: str) -> Lake:
        (tmp_path / name).mkdir(exist_ok=True)
        return open_lake(LakeSettings("local", properties | {"type": "sql", "uri": f"sqlite:///{tmp_path}/{name}/catalog.db"}))

    with closing(local("three")) as other, pytest.raises(Claimed, match=f"the warehouse belongs to lake {first} of catalog glue"):
        require_own(other, tmp_path / "three", say=print)
    properties["warehouse"] += "/below"
    with closing(local("three")) as own:
        ours = require_own(own, tmp_path / "three", say=print)
        assert ours not in ("", first)
        assert require_own(own, tmp_path / "three", say=print) == ours
    (tmp_path / "four").mkdir()
    shutil.copy(tmp_path / "three" / "catalog.db", tmp_path / "four")
    with closing(local("four")) as copy, pytest.raises(Claimed, match=r"this catalog is a copy of .*/three/catalog.db"):
        require_own(copy, tmp_path / "four", say=print)
    (tmp_path / "three").rename(tmp_path / "five")
    with closing(local("five")) as moved:
        assert require_own(moved, tmp_path / "five", say=print) == ours
    with closing(local("four")) as copy, pytest.raises(Claimed, match=r"this catalog is a copy of .*/five/catalog.db"):
        require_own(copy, tmp_path / "four", say=print)


def test_a_catalog_that_lost_a_table_makes_none_over_its_rows(lake: Lake, tmp_path: Path) -> None:
    append(lake, 0, 2)
    require_own(lake, tmp_path, say=print)
    lake.catalog.drop_table(TABLE.name)
    for attempt in (lambda: require_own(lake, tmp_path, say=print), lambda: lake.ensure([TABLE])):
        with pytest.raises(Claimed, match=f"holds rows of {TABLE.name}.* that this catalog does not know"):
            attempt()
    assert not lake.has(TABLE.name)
