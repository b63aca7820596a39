"""What verify says of a lake: from the tables and the watermarks alone, so no broker is needed to see it wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import GPS
from fleetlake.contracts.table import Table
from fleetlake.contracts.tables import all_tables, bronze_of, silver_of
from fleetlake.foundation.errors import Permanent, Unproven
from fleetlake.ingest.accounts import begun_account, following_account
from fleetlake.ingest.offsets import PROPERTY, Gap, IngestEngine, IngestMarker, KafkaTopicState
from fleetlake.ingest.presence import Looked
from fleetlake.ingest.ranges import Ranges
from fleetlake.ingest.verify import TopicCheck, check_topic
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.lake.commits import commit
from fleetlake.lake.digest import PROPERTY as DIGEST
from fleetlake.lake.digest import digest_of
from fleetlake.lake.write import write_files
from fleetlake.transform.marker import PROPERTY as READ
from fleetlake.transform.marker import read_marker
from fleetlake.workflows.verify import print_checks, require_equal

T0 = datetime(2026, 1, 1, 8, tzinfo=UTC)
MARKER = IngestMarker("fleetlake", 1, "c1", "cluster", "topic", {0: 0}, {0: 10})
SOURCE = KafkaTopicState(GPS.topic, "cluster", "topic", {0: (0, 10)})


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    """Ten good rows of gps in bronze, of partition 0."""
    uri = {"type": "sql", "uri": f"sqlite:///{tmp_path}/catalog.db", "warehouse": f"file://{tmp_path}/warehouse"}
    made = open_lake(LakeSettings("test", uri))
    made.ensure(all_tables())
    add(made, bronze_of(GPS), [bronze(number) for number in range(10)], MARKER)
    yield made
    made.close()


def add(lake: Lake, contract: Table, rows: list[dict[str, Any]], marker: IngestMarker) -> None:
    table = lake.table(contract.name)
    files = write_files(table, pa.Table.from_pylist(rows, schema=table_schema(contract)), folder=str(len(table.snapshots())))
    commit(table, added=files, properties=marker.properties())


def bronze(number: int) -> dict[str, Any]:
    place = {"kafka_partition": 0, "kafka_offset": number, "kafka_timestamp": T0, "ingested_at": T0}
    return place | {"event_id": f"e{number}", "device_id": "v", "event_time": T0 + timedelta(seconds=number)}


def silver(lake: Lake, first: int, after: int) -> None:
    rows = [bronze(number) | {"is_late": False, "late_by_s": 0.0} for number in range(first, after)]
    add(lake, silver_of(GPS), rows, MARKER)


def said(check: TopicCheck, capsys: pytest.CaptureFixture[str]) -> str:
    print_checks([check], as_json=False)
    return capsys.readouterr().out


def test_equal(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    silver(lake, 0, 10)
    check = check_topic(lake, GPS, SOURCE, {0: 10})
    assert (check.kafka, check.landed, check.silver, check.problems, check.state) == (10, 10, 10, (), "ok")
    assert "silver has every good event id once" in said(check, capsys)
    require_equal([check])


@pytest.mark.parametrize("engine", list(IngestEngine))
@pytest.mark.parametrize(
    ("source", "words", "hint"),
    [
        (replace(SOURCE, cluster_id="other"), "filled from Kafka cluster cluster, this is other", "check kafka.bootstrap_servers"),
        (replace(SOURCE, topic_id="new"), "the topic was deleted and made again: it is new", "ingest into a new lake"),
        (
            KafkaTopicState(GPS.topic, "other", "new", {0: (0, 0)}),  # an empty broker in place of the one that filled the lake
            "filled from Kafka cluster cluster, this is other",
            "check kafka.bootstrap_servers",
        ),
    ],
)
def test_another_kafka_than_the_one_the_lake_was_filled_from(
    lake: Lake, engine: IngestEngine, source: KafkaTopicState, words: str, hint: str
) -> None:
    add(lake, bronze_of(GPS), [], replace(MARKER, engine=engine))
    check = check_topic(lake, GPS, source, None)
    assert len(check.problems) == 1  # offsets of another topic are not compared
    assert words in check.problems[0]
    assert check.state == "NOT EQUAL"
    with pytest.raises(Unproven) as caught:
        require_equal([check])
    assert hint in caught.value.hint
    assert "ingest --once" not in caught.value.hint


def test_silver_that_was_never_built(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    check = check_topic(lake, GPS, SOURCE, None)
    text = said(check, capsys)
    assert "silver not built yet: fleetlake transform" in text
    assert "every good event id" not in text
    require_equal([check])


def test_silver_that_is_behind(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    silver(lake, 0, 4)
    check = check_topic(lake, GPS, SOURCE, {0: 4})
    assert check.state == "behind"
    assert "silver: 6 bronze rows are waiting" in said(check, capsys)
    with pytest.raises(Unproven, match="silver is behind bronze") as caught:
        require_equal([check])
    assert caught.value.hint == "fleetlake transform"


def test_bronze_behind_kafka_and_silver_behind_bronze(lake: Lake) -> None:
    silver(lake, 0, 4)
    check = check_topic(lake, GPS, replace(SOURCE, watermarks={0: (0, 12)}), {0: 4})
    assert check.state == "NOT EQUAL"
    with pytest.raises(Unproven, match="the lake and Kafka do not hold the same") as caught:
        require_equal([check])
    assert caught.value.hint == "fleetlake ingest --once, then fleetlake transform"


def test_silver_that_lacks_a_row_it_has_read(lake: Lake) -> None:
    silver(lake, 1, 10)
    check = check_topic(lake, GPS, SOURCE, {0: 10})
    assert check.problems == ("silver: 1 good event ids of bronze are missing",)
    assert (check.state, check.hints) == ("NOT EQUAL", ("fleetlake transform --full",))


def test_the_checks_as_json(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    print_checks([check_topic(lake, GPS, SOURCE, {0: 4})], as_json=True)
    (check,) = json.loads(capsys.readouterr().out)
    assert (check["state"], check["hints"]) == ("NOT EQUAL", ["fleetlake transform --full"])


NO_KAFKA = replace(SOURCE, watermarks={0: (10, 10)})  # retention took all of it


def no_records(topic: str, asked: Mapping[int, Ranges]) -> Mapping[int, Looked]:
    return {partition: Looked(Ranges(), ranges.after) for partition, ranges in asked.items()}


def remove(lake: Lake, *offsets: int) -> None:
    table = lake.table(bronze_of(GPS).name)
    left = table.scan().to_arrow().filter(~pc.field("kafka_offset").isin(offsets))
    removed = [task.file for task in table.scan().plan_files()]
    commit(table, added=write_files(table, left, folder="left"), removed=removed, properties={})


def count_rows(lake: Lake) -> None:
    """As if the ingest had written the rows there are with a digest from the first commit on."""
    table = lake.table(bronze_of(GPS).name)
    rows, removed = table.scan().to_arrow(), [task.file for task in table.scan().plan_files()]
    commit(table, added=[], removed=removed, properties={})
    begun = lake.table(bronze_of(GPS).name)
    commit(begun, added=[], properties=begun_account(begun, MARKER))
    table = lake.table(bronze_of(GPS).name)
    properties = following_account(table, MARKER, digest_of(rows, table.schema()))
    commit(table, added=write_files(table, rows, folder="counted"), properties=properties)


def test_a_table_without_a_digest_says_so_and_its_holes_are_still_told(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    check = check_topic(lake, GPS, NO_KAFKA, None)
    assert check.state == "ok"
    assert "filled by an earlier version, which keeps no digest" in said(check, capsys)
    assert "as far as it can be checked" in said(check, capsys)
    remove(lake, 3, 4)
    check = check_topic(lake, GPS, NO_KAFKA, None)
    assert check.problems == ("partition 0: 2 offsets from 3 to 4 are missing, and Kafka no longer has them",)
    assert "ingest --once" not in check.hints[0].replace("--home DIR ingest --once", "")


def test_a_hole_that_nobody_can_judge_is_told_where_a_topic_has_offsets_without_records(lake: Lake) -> None:
    remove(lake, 3, 8)
    check = check_topic(lake, GPS, replace(SOURCE, watermarks={0: (5, 10)}), None, no_records)
    assert (check.state, check.problems, check.no_record) == ("ok", (), 1)
    assert "1 offsets from 3 to 3 are missing; whether they had records can't be checked" in check.notes[1]


def test_holes_of_a_table_that_spark_filled_are_not_judged_when_nothing_is_left_in_kafka(lake: Lake) -> None:
    """They may be aborted records: a topic of transactions was not equal for ever once retention had taken all of it."""
    remove(lake, 3)
    commit(lake.table(bronze_of(GPS).name), added=[], properties=replace(MARKER, engine=IngestEngine.SPARK).properties())
    check = check_topic(lake, GPS, NO_KAFKA, None)
    assert (check.state, check.problems) == ("ok", ())
    assert "1 offsets from 3 to 3 are missing; whether they had records can't be checked" in check.notes[1]
    assert check_topic(lake, GPS, replace(SOURCE, watermarks={0: (5, 10)}), None).state == "NOT EQUAL"


def test_a_record_below_what_was_ingested_is_lost_and_one_behind_it_is_waited_for(lake: Lake) -> None:
    remove(lake, 3)
    check = check_topic(lake, GPS, replace(SOURCE, watermarks={0: (0, 12)}), None)
    assert check.problems == (
        "partition 0: 1 records of Kafka are missing, the first at offset 3",
        "partition 0: 2 records of Kafka, from offset 10 on, are not in the table yet",
    )
    assert check.hints[0].startswith("restore the table")
    assert check.hints[1] == "fleetlake ingest --once"


@pytest.mark.parametrize(("watermarks", "lost"), [
    ({0: (12, 12)}, "partition 0: offsets 10 to 11 were deleted by retention before they were ingested"),
    ({0: (15, 20)}, "partition 0: offsets 10 to 14 were deleted by retention before they were ingested"),
    ({0: (5, 10), 1: (3, 3)}, "partition 1: offsets 0 to 2 were deleted by retention before they were ingested"),
])  # fmt: skip
@pytest.mark.parametrize("counted", [True, False], ids=["with a digest", "without"])
def test_what_retention_took_before_it_was_ingested_is_told(
    lake: Lake, watermarks: dict[int, tuple[int, int]], lost: str, counted: bool
) -> None:
    """The ingest refuses to go on there, so verify must not call it equal: the digest knows what was committed only."""
    if counted:
        count_rows(lake)
    check = check_topic(lake, GPS, replace(SOURCE, watermarks=watermarks), None, no_records)
    assert check.problems[0] == lost
    assert check.hints[0].startswith("fleetlake ingest --once --accept-gaps")
    assert len(check.problems) == 1


def test_a_gap_excuses_its_own_offsets_only(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    add(lake, bronze_of(GPS), [bronze(number) for number in range(15, 20)], replace(MARKER, gaps=(Gap(0, 10, 15),), next={0: 20}))
    source = replace(SOURCE, watermarks={0: (17, 20)})
    check = check_topic(lake, GPS, source, None)
    assert (check.state, check.accepted) == ("ok", 5)
    assert "gps_data: 5 offsets are lost: retention deleted them unread, which --accept-gaps noted" in said(check, capsys)
    remove(lake, 15)
    assert check_topic(lake, GPS, source, None).problems == (
        "partition 0: 1 offsets from 15 to 15 are missing, and Kafka no longer has them",
    )


def test_what_follows_an_open_transaction_is_no_loss(lake: Lake) -> None:
    check = check_topic(lake, GPS, replace(SOURCE, watermarks={0: (0, 25)}, stable={0: 10}), None)
    assert (check.state, check.problems) == ("ok", ())
    assert "offsets from 10 on follow a transaction that is still open" in check.notes[-1]


def test_offsets_that_kafka_no_longer_has_though_they_are_its_newest(lake: Lake) -> None:
    check = check_topic(lake, GPS, replace(SOURCE, watermarks={0: (0, 4)}), None)
    assert check.problems == ("partition 0: the table holds offsets up to 9, Kafka ends at 3",)


def test_a_partition_that_the_topic_has_no_more_is_its_logs_fault(lake: Lake) -> None:
    check = check_topic(lake, GPS, replace(SOURCE, watermarks={1: (0, 0)}), None)
    assert check.problems[-1] == "partition 0: in the table, but not in the topic, whose log went back to before it was added"
    assert check.hints[-1].startswith("restore the broker's log")


def test_a_silver_row_that_was_altered(lake: Lake) -> None:
    rows = [bronze(number) | {"is_late": False, "late_by_s": 0.0} for number in range(10)]
    rows[4]["event_time"] += timedelta(microseconds=1)
    add(lake, silver_of(GPS), rows, MARKER)
    check = check_topic(lake, GPS, SOURCE, {0: 10})
    assert check.problems == ("silver: 1 rows are not what bronze has at their places",)
    assert check.hints == ("fleetlake transform --full",)


@pytest.mark.parametrize("added_again", [False, True])
@pytest.mark.parametrize("layer", ["bronze", "silver"])
def test_a_column_that_another_tool_took_away_or_renamed_is_told(lake: Lake, layer: str, added_again: bool) -> None:
    silver(lake, 0, 10)
    contract = bronze_of(GPS) if layer == "bronze" else silver_of(GPS)
    with lake.table(contract.name).update_schema() as change:
        change.rename_column("speed_kmh", "speed")
    if added_again:
        lake.ensure([contract])
    found = check_topic(lake, GPS, SOURCE, {0: 10})
    assert found.state == "NOT EQUAL"
    assert f"{layer}: another tool took away or renamed speed_kmh: what it held is not read any more" in found.problems


def test_rows_without_a_marker_are_no_sound_table(lake: Lake) -> None:
    with lake.table(bronze_of(GPS).name).transaction() as change:
        change.remove_properties(PROPERTY)
    found = check_topic(lake, GPS, SOURCE, None)
    assert found.state == "NOT EQUAL"
    assert "is gone, so no ingest goes on" in found.problems[0]


@pytest.mark.parametrize("name", [PROPERTY, DIGEST, READ])
@pytest.mark.parametrize("value", ["{oops", "[]", "7", '{"version": 1, "epoch": 1}'])
def test_a_property_that_another_tool_spoilt_is_told(lake: Lake, name: str, value: str) -> None:
    silver(lake, 0, 10)
    contract = silver_of(GPS) if name == READ else bronze_of(GPS)
    with lake.table(contract.name).transaction() as change:
        change.set_properties({name: value})
    with pytest.raises(Permanent, match="not what fleetlake wrote"):
        read_marker(lake.table(contract.name)) if name == READ else check_topic(lake, GPS, SOURCE, {0: 10})


NOW = {
    "the same end": KafkaTopicState(GPS.topic, "cluster", "topic", {0: (0, 10)}),
    "records that came since": KafkaTopicState(GPS.topic, "cluster", "topic", {0: (0, 50)}),
    "a log whose start moved on": KafkaTopicState(GPS.topic, "cluster", "topic", {0: (9, 50)}),
    "a partition that was added": KafkaTopicState(GPS.topic, "cluster", "topic", {0: (0, 10), 1: (0, 3)}),
}


@pytest.mark.parametrize("now", NOW)
def test_a_table_that_went_on_while_the_ends_were_asked_is_no_problem(lake: Lake, now: str) -> None:
    """The broker is asked before the table is loaded; an ingest beside it lands records meanwhile."""
    before = replace(SOURCE, watermarks={0: (0, 7)}, stable={0: 7})
    assert "Kafka ends at 6" in check_topic(lake, GPS, before, None).problems[0]
    check = check_topic(lake, GPS, before, None, ask_again=lambda: NOW[now])
    assert (check.state, check.problems, check.kafka, check.landed) == ("ok", (), 10, 10)
    assert not any("transaction" in note for note in check.notes)


def test_a_partition_that_was_added_while_the_ends_were_asked_is_no_problem(lake: Lake) -> None:
    add(lake, bronze_of(GPS), [bronze(10) | {"kafka_partition": 1, "kafka_offset": 0}], replace(MARKER, next={0: 10, 1: 1}))
    assert "in the table, but not in the topic" in check_topic(lake, GPS, SOURCE, None).problems[0]
    check = check_topic(lake, GPS, SOURCE, None, ask_again=lambda: NOW["a partition that was added"])
    assert (check.state, check.problems, check.kafka, check.landed) == ("ok", (), 11, 11)


@pytest.mark.parametrize("now", [{0: (0, 7)}, {0: (0, 9)}])
def test_a_table_that_is_ahead_of_the_ends_asked_afterwards_too_is_a_problem(lake: Lake, now: dict[int, tuple[int, int]]) -> None:
    before, after = (replace(SOURCE, watermarks=watermarks) for watermarks in ({0: (0, 7)}, now))
    check = check_topic(lake, GPS, before, None, ask_again=lambda: after)
    assert check.state == "NOT EQUAL"
    assert check.problems == (f"partition 0: the table holds offsets up to 9, Kafka ends at {now[0][1] - 1}",)


def test_a_record_that_is_missing_behind_the_ends_asked_first_is_seen(lake: Lake) -> None:
    add(lake, bronze_of(GPS), [bronze(12)], replace(MARKER, next={0: 13}))
    check = check_topic(lake, GPS, SOURCE, None, ask_again=lambda: NOW["records that came since"])
    assert check.problems == ("partition 0: 2 records of Kafka are missing, the first at offset 10",)
