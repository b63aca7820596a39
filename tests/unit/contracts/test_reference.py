"""The Markdown reference says everything the contracts say."""

from fleetlake.contracts.events import EVENTS
from fleetlake.contracts.reference import markdown_reference
from fleetlake.contracts.tables import all_tables


def section(title: str) -> list[list[str]]:
    """The cells of the table below a heading, without the header."""
    _, found, rest = markdown_reference().partition(f"\n### {title}\n")
    assert found
    lines = [line for line in rest.partition("\n### ")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_every_event_and_table_is_there_with_each_of_its_columns() -> None:
    for event in EVENTS:
        assert [row[0] for row in section(event.topic)] == [f"`{field.name}`" for field in event.fields]
    for table in all_tables():
        assert [(row[0], row[1]) for row in section(table.name)] == [(str(c.id), f"`{c.name}`") for c in table.columns]


def test_a_column_has_type_unit_range_null_vss_and_description() -> None:
    rows = {row[1]: row[2:] for row in section("silver.gps")}
    assert rows["`speed_kmh`"] == ["double", "km/h", "0 to 300", "possible", "Vehicle.Speed", "Speed over ground"]
    assert rows["`event_id`"][3] == "never"
    assert rows["`direction`"][2].startswith("North, North-East")


def test_the_fields_of_an_event_say_what_is_required_and_what_they_become() -> None:
    rows = {row[0]: row for row in section("emergency_data")}
    assert rows["`type`"][3:6] == ["Accident, Fire, Medical, Police, None", "yes", "`incident_type`"]
    assert rows["`location`"][1:6] == ["[number, number]", "deg", "-90 to 90, -180 to 180", "yes", "`latitude`, `longitude`"]


def test_partition_and_order_are_named() -> None:
    assert "Partitioned by day(start_time), sorted by device_id, start_time." in markdown_reference()
