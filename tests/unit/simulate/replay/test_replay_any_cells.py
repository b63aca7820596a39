"""Whatever the cells of a recording say, each row is one record, and what the ingest will reject was reported."""

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replay_sink import replayed

HEADER = ("device_id", "timestamp", "lat", "lon", "speed", "sat", "sky", "ignited")
MAPPING = {"weatherCondition": "sky", "ignition": "ignited"}
MAPPING_EVENTS = ("gps_data", "weather_data", "vehicle_data")  # what a row can become with it
ANCHOR = ("anchor", "2026-01-01T00:00:00Z", "1", "2", "", "", "", "")  # a file without any time is refused
CELLS = st.one_of(
    st.sampled_from([
        "", "a", "b", "2026-01-01T00:00:01Z", "2026-02-30T00:00:00Z", "2026-01-01 25:00:00", "0001-01-01T00:00:00+14:00",
        "1767225600",
        "9" * 18, "9" * 30, "12", "-12.5", "+3", "1e2", "1e99", "-1e99", ".5", "5.", "1,5", "nan", "inf", "0x10",
        "true", "Off", "Rain",
        "rain", "None", '"', "\\", "\n", "é", "\u0661", " 7 ",
    ]),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=8),
    st.floats().map(str),
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cells")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(*[CELLS] * len(HEADER)), max_size=5))
def test_every_row_is_sent_and_what_is_bad_is_reported(folder: Path, rows: list[tuple[str, ...]]) -> None:
    path = folder / "drive.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([HEADER, ANCHOR, *rows])
    sink, report = replayed(path, **MAPPING)
    filled = 1 + sum(any(row) for row in rows)
    assert report.rows == report.sent["gps_data"] == filled
    assert len({json.loads(value)["id"] for _, _, value in sink.records}) == len(sink.records)
    reported = {place for problem in report.problems for place in problem.first}
    rejected = [reason for reason in sink.reasons() if reason]
    assert len(rejected) <= len(MAPPING_EVENTS) * len(reported), (rejected, report.problems)
