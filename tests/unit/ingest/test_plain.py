"""The quick decoder takes what is plain, with the very values, and nothing that only looks as if it were."""

import ctypes
import json
import mmap
import struct
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from tests.event_documents import GOOD, check_rows
from tests.fuzzing import fuzz

from fleetlake.contracts.events import EVENTS, VEHICLE, WEATHER, Event
from fleetlake.ingest.decode import RAW_SCHEMA, Decoder
from fleetlake.ingest.plain import PlainDecoder
from fleetlake.runtime import compiled
from fleetlake.simulate.run import SimulationSettings, simulate_journey

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PLAIN = {name: GOOD[name] for name in ("id", "deviceId", "timestamp", "location", "speed")} | {"make": "Ford", "ignition": True}
NUMBER = r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?"


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute("SET TimeZone = 'UTC'")
        yield con


def raw(payloads: Sequence[bytes | None]) -> pa.Table:
    n = len(payloads)
    return pa.table([[0] * n, list(range(n)), [NOW] * n, list(payloads)], schema=RAW_SCHEMA)


def quickly(event: Event, payloads: Sequence[bytes]) -> tuple[pa.Table, list[bool]]:
    rows, plain = PlainDecoder(event).decode(pa.array([payload.decode() for payload in payloads], pa.string()))
    return rows, plain.tolist()


def documents(*changes: dict[str, Any]) -> list[bytes]:
    return [json.dumps(PLAIN | change).encode() for change in changes]


def with_speed(text: str) -> bytes:
    (document,) = documents({"speed": 123.456})
    return document.replace(b"123.456", text.encode())


def test_what_the_simulator_sends_is_plain() -> None:
    sent: dict[Event, list[bytes]] = {event: [] for event in EVENTS}
    for tick in simulate_journey(SimulationSettings(10, datetime(2026, 1, 5, 6, tzinfo=UTC), seed=3)):
        for batch in tick:
            sent[batch.event] += batch.values
        if all(sent.values()):
            break
    for event, payloads in sent.items():
        assert quickly(event, payloads)[1] == [True] * len(payloads)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param([{"speed": "12"}, {"make": 5}, {"id": 7}, {"make": [True]}, {"make": True}], id="another type"),
        pytest.param([{"ignition": "true"}, {"ignition": 1}, {"ignition": 0}, {"speed": True}], id="what others take for booleans"),
        pytest.param([{"location": [51.5, None]}, {"location": [1]}, {"location": [1, 2, 3]}, {"location": {}}], id="no places"),
        pytest.param([{"location": ["51.5", "-0.1"]}, {"location": [True, False]}, {"location": [91, 0]}], id="wrong places"),
        pytest.param([{"speed": [1]}, {"speed": {"a": 1}}, {"z": {"speed": "1"}}, {"z": []}], id="what nests"),
        pytest.param([{"make": 'a"b'}, {"make": "a\\b"}, {"make": "a\nb"}, {'a"b': 1}], id="escapes"),
        pytest.param([{"speed": 301}, {"speed": -1}, {"year": 2024.5}, {"year": 1949}], id="out of range"),
        pytest.param([{"direction": "north"}, {"direction": ""}, {"id": ""}], id="texts that are not allowed"),
        pytest.param([{"id": None}, {"timestamp": None}, {"location": None}], id="nulls that are not allowed"),
        pytest.param([{"timestamp": "2026-01-31T12:30:45+0100"}, {"timestamp": "2026-01-31T12:30:45.1+01"}], id="another zone"),
        pytest.param([{"timestamp": "2026-01-31 12:30:45.123Z"}, {"timestamp": "2026-01-31T12:30:45Z"}], id="another shape"),
        pytest.param([{"timestamp": "1969-12-31T23:59:59.999Z"}, {"timestamp": "2100-01-01T00:00:00.000Z"}], id="other years"),
        pytest.param([{"timestamp": "0000-01-31T12:30:45.123Z"}, {"timestamp": "2026-02-29T12:30:45.123Z"}], id="no such day"),
        pytest.param([{"timestamp": "2026-01-31T24:00:00.000Z"}, {"timestamp": "2026-01-31T12:60:00.000Z"}], id="no such time"),
    ],
)  # fmt: skip
def test_what_is_not_plain_is_judged_by_the_reference(connection: duckdb.DuckDBPyConnection, changes: list[dict[str, Any]]) -> None:
    payloads = documents({}, *changes, {})
    assert quickly(VEHICLE, payloads)[1] == [True] + [False] * len(changes) + [True]
    check_rows(VEHICLE, payloads, Decoder(VEHICLE, connection).decode(raw(payloads), NOW), NOW)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param([{"make": None}, {"speed": None}, {"year": None}, {"direction": None}, {"ignition": None}], id="nulls"),
        pytest.param([{"z": 1}, {"": "x"}, {"z": None}, {"z": -1.5e3}, {"z": True}, {"z": False}], id="unknown fields"),
        pytest.param([{"speed": 0, "ignition": False}, {"speed": 1}, {"year": 2024.0}], id="ones and zeros"),
        pytest.param([{"timestamp": "2024-02-29T23:59:59.999Z"}, {"timestamp": "1970-01-01T00:00:00.000Z"}], id="times"),
        pytest.param([{"make": "Škoda"}, {"make": ""}, {"make": "true"}, {"make": "12"}, {"make": "x" * 70_000}], id="texts"),
    ],
)
def test_what_is_plain_is_as_the_reference_says(connection: duckdb.DuckDBPyConnection, changes: list[dict[str, Any]]) -> None:
    payloads = [json.dumps(PLAIN | change, ensure_ascii=False).encode() for change in changes]
    assert quickly(VEHICLE, payloads)[1] == [True] * len(changes)
    check_rows(VEHICLE, payloads, Decoder(VEHICLE, connection).decode(raw(payloads), NOW), NOW)


@pytest.mark.parametrize("changed", [lambda d: d[::-1], lambda d: sorted(d), lambda d: [*d[2:], *d[:2]]])
def test_fields_may_come_in_any_order_and_with_any_space(changed: Any) -> None:
    document = dict(changed(list(PLAIN.items())))
    payloads = [json.dumps(document, indent=indent, separators=(", ", " : ")).encode() for indent in (None, 1, "\t")]
    rows, plain = quickly(VEHICLE, [*payloads, b" \r\n" + payloads[0] + b"\t\n"])
    assert plain == [True] * 4
    assert rows["speed_kmh"].to_pylist() == [PLAIN["speed"]] * 4


@pytest.mark.parametrize(
    "added", ['"speed":13', '"id":"b"', '"make":null,"make":null', '"x":1,', '"x"', '"x":', '"x":01', '"x":1 2']
)
def test_a_member_twice_and_what_is_no_json_is_not_plain(added: str) -> None:
    (payload,) = documents({})
    bad = payload[:-1] + b"," + added.encode() + b"}"
    assert quickly(VEHICLE, [bad, payload + b"}", payload[:-1], b"\xef\xbb\xbf" + payload])[1] == [False] * 4


@given(st.from_regex(NUMBER, fullmatch=True) | st.floats(0, 300).map(repr) | st.integers(0, 2**70).map(str))
@fuzz(400)
def test_a_number_is_the_double_that_python_reads(text: str) -> None:
    expected = float(json.loads(text))
    rows, (plain,) = quickly(VEHICLE, [with_speed(text)])
    assert plain == (0 <= expected <= 300)
    if plain:
        assert struct.pack("d", rows["speed_kmh"][0].as_py()) == struct.pack("d", expected)


@given(st.floats(allow_nan=False, allow_infinity=False).map(repr) | st.from_regex(NUMBER, fullmatch=True))
@fuzz(400)
def test_so_is_one_that_may_be_negative_and_of_any_size(text: str) -> None:
    document = json.dumps({"id": "a", "deviceId": "d", "timestamp": GOOD["timestamp"], "location": [0, 0]})
    rows, (plain,) = quickly(WEATHER, [f'{document[:-1]}, "temperature": {text}}}'.encode()])
    expected = float(json.loads(text))
    assert plain == (-90 <= expected <= 60)
    if plain:
        assert struct.pack("d", rows["temperature_c"][0].as_py()) == struct.pack("d", expected)


def long_numbers() -> st.SearchStrategy[str]:
    """Numbers of as many digits as it takes to outweigh their exponents, and some that only look like that."""
    zeros = st.integers(0, 120) | st.sampled_from([400, 999, 5_000, 70_000])
    digits, exponents = st.from_regex(r"[1-9][0-9]{0,40}", fullmatch=True), st.integers(-2_000_000, 2_000_000)

    @st.composite
    def made(draw: st.DrawFn) -> str:
        count, given = draw(zeros), draw(digits)
        exponent = draw(exponents | st.integers(count - 30, count + 5) | st.integers(-count - 30, 5 - count))
        written = f"{exponent:+d}".replace("+", draw(st.sampled_from(["", "+", "+000"])))
        head = draw(st.sampled_from(["0." + "0" * count + given, given + "0" * count, given + "0" * count + ".0" + given]))
        return head + draw(st.sampled_from(["e", "E"])) + written

    return made()


@given(st.lists(long_numbers(), min_size=1, max_size=3))
@example(["0." + "0" * 99_999 + "1e1000000", "0." + "0" * 99_999 + "1e100001", "1" + "0" * 99_999 + "e-99999"])
@fuzz(25)
def test_a_long_number_is_what_the_reference_makes_of_it(connection: duckdb.DuckDBPyConnection, texts: list[str]) -> None:
    """In a field of the contract and in one that it does not know, and in a place."""
    (document,) = documents({"unknown": 654.5})
    payloads = [with_speed(text) for text in texts] + [document.replace(b"654.5", text.encode()) for text in texts]
    payloads += [document.replace(b"51.5", text.encode()) for text in texts]
    for decoder in (Decoder(VEHICLE, connection), Decoder(VEHICLE, connection, quickly=False)):
        check_rows(VEHICLE, payloads, decoder.decode(raw(payloads), NOW), NOW)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)) | st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)))
@example(datetime(1969, 12, 31, 23, 59, 59, 999_000))
@example(datetime(2099, 12, 31, 23, 59, 59, 999_000))
@fuzz(300)
def test_a_time_is_the_one_that_python_reads(moment: datetime) -> None:
    text = moment.isoformat(timespec="milliseconds") + "Z"
    rows, plain = quickly(VEHICLE, documents({"timestamp": text}))
    assert plain == [1970 <= moment.year <= 2099]
    if plain == [False]:
        return
    read = rows["event_time"].cast(pa.int64())[0].as_py()
    assert read == (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


@given(st.binary(max_size=3), st.integers(0, 10_000), st.integers(0, 10_000))
@fuzz(300)
def test_nothing_is_read_beyond_a_record(inserted: bytes, at: int, cut_at: int) -> None:
    """The bytes end where memory ends: one read too many ends the process."""
    (payload,) = documents({"speed": 12.5, "year": 2024, "z": 1e3, "make": None, "direction": "North"})
    at %= len(payload)
    payload = payload[:at] + inserted + payload[at:]
    payload = payload[: cut_at % (len(payload) + 1)]
    assume(payload)
    page = mmap.PAGESIZE
    with mmap.mmap(-1, 2 * page) as memory:
        view = np.frombuffer(memory, np.uint8)
        view[page - len(payload) : page] = np.frombuffer(payload, np.uint8)
        address = view.ctypes.data
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.mprotect(ctypes.c_void_p(address + page), page, 0) == 0
        buffer = pa.foreign_buffer(address, page, memory)
        ends = pa.py_buffer(np.array([page - len(payload), page], np.int32))
        text = pa.Array.from_buffers(pa.string(), 1, [None, ends, buffer])
        PlainDecoder(VEHICLE).decode(text)
        assert libc.mprotect(ctypes.c_void_p(address + page), page, mmap.PROT_READ | mmap.PROT_WRITE) == 0
        del view, buffer, text


def test_a_part_of_an_array_and_no_records() -> None:
    payloads = [payload.decode() for payload in documents({"speed": 1}, {"speed": 2}, {"speed": "3"}, {"speed": 4})]
    rows, plain = PlainDecoder(VEHICLE).decode(pa.array(payloads, pa.string())[1:3])
    assert (plain.tolist(), rows["speed_kmh"][0].as_py(), rows.num_rows) == ([True, False], 2, 2)
    rows, plain = PlainDecoder(VEHICLE).decode(pa.array([], pa.string()))
    assert (plain.tolist(), rows.num_rows) == ([], 0)


def test_a_record_that_is_none_is_not_plain() -> None:
    assert PlainDecoder(VEHICLE).decode(pa.array([None, "", "{}"], pa.string()))[1].tolist() == [False] * 3


def test_where_nothing_is_compiled_all_go_the_careful_way(
    connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "PATH", Path("/nowhere/_compiled.so"))
    compiled.compiled.cache_clear()
    try:
        decoder = Decoder(VEHICLE, connection)
        with pytest.raises(compiled.NotPossible, match=r"_compiled\.so can't be loaded"):
            PlainDecoder(VEHICLE)
    finally:
        compiled.compiled.cache_clear()
    payloads = documents({}, {"speed": "x"})
    check_rows(VEHICLE, payloads, decoder.decode(raw(payloads), NOW), NOW)
