"""Columns become the bytes a JSON library would have written, nulls left out."""

from __future__ import annotations

import json
import uuid

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetlake.contracts.events import EMERGENCY, GPS
from fleetlake.contracts.validation import parse
from fleetlake.simulate.encode import encode
from fleetlake.simulate.ids import uuid7

PLACE = pa.struct([("latitude", pa.float64()), ("longitude", pa.float64())])


def test_fields_come_in_the_contracts_order_without_spaces_and_nulls_are_left_out() -> None:
    columns = {
        "satellites": pa.array([None, 9]),
        "location": pa.array([{"latitude": 51.5074, "longitude": -0.1278}, None], PLACE),
        "speed": pa.array([None, 12.25]),
        "direction": pa.array(["North", None]).dictionary_encode(),
        "derived": pa.array([None, None], pa.string()),
        "timestamp": pa.array([1_700_000_000_007, 0], pa.timestamp("ms")),
        "deviceId": pa.array(["veh-1", "veh-2"]),
        "id": pa.array(["a", "b"]),
    }
    assert encode(GPS, columns) == [
        b'{"id":"a","deviceId":"veh-1","timestamp":"2023-11-14T22:13:20.007Z","direction":"North","location":[51.5074,-0.1278]}',
        b'{"id":"b","deviceId":"veh-2","timestamp":"1970-01-01T00:00:00.000Z","speed":12.25,"satellites":9}',
    ]


def test_no_events_are_no_bytes() -> None:
    columns = {"id": pa.array([], pa.string()), "timestamp": pa.array([], pa.timestamp("ms")), "location": pa.array([], PLACE)}
    assert encode(GPS, columns) == []


@given(st.lists(st.tuples(st.text(min_size=1), st.none() | st.text()), min_size=1), st.booleans())
def test_any_text_comes_back(rows: list[tuple[str, str | None]], coded: bool) -> None:
    devices, descriptions = (pa.array(column, pa.string()) for column in zip(*rows, strict=True))
    if coded:
        descriptions = descriptions.dictionary_encode()
    encoded = encode(EMERGENCY, {"id": devices, "deviceId": devices, "description": descriptions})
    read = [json.loads(value) for value in encoded]
    assert [(row["deviceId"], row.get("description")) for row in read] == rows


@given(st.lists(st.floats(0, 300), min_size=1))
def test_any_number_comes_back(speeds: list[float]) -> None:
    n = len(speeds)
    columns = {
        "id": pa.array([str(i) for i in range(n)]),
        "deviceId": pa.array(["d"] * n),
        "timestamp": pa.array([0] * n, pa.timestamp("ms")),
        "speed": pa.array(speeds),
    }
    parsed = [parse(GPS, value) for value in encode(GPS, columns)]
    assert [row.reject_reason for row in parsed] == [None] * n
    assert [row.values["speed_kmh"] for row in parsed] == speeds


@pytest.mark.parametrize("time_ms", [0, 1_772_000_000_123, 2**48 - 1])
def test_ids_are_version_7_of_their_time_and_follow_from_the_generator(time_ms: int) -> None:
    times = np.full(500, time_ms)
    made = uuid7(times, np.random.default_rng(1))
    ids = [uuid.UUID(value.decode()) for value in made.tolist()]
    assert {(i.version, i.variant, i.int >> 80) for i in ids} == {(7, uuid.RFC_4122, time_ms)}
    assert len(set(ids)) == 500
    assert (made == uuid7(times, np.random.default_rng(1))).all()
    assert len({i.int & (2**62 - 1) for i in ids}) == 500  # the bits after the variant differ too
