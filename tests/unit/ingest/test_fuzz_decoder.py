"""Whatever bytes a topic holds, each record becomes one row: a good one, or a reject with the reason the reference rules give."""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import combinations, product
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.event_documents import GOOD, check_rows, every_kind
from tests.fuzzing import fuzz

from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import EVENTS, VEHICLE, Event
from fleetlake.contracts.tables import bronze_of
from fleetlake.contracts.validation import parse
from fleetlake.ingest.decode import RAW_SCHEMA, Decoder

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DOCUMENT = json.dumps(GOOD).encode()
# What Python's parser and DuckDB's judge differently, where no field of ours is concerned: see docs/security.md.
TRAILING_COMMA = re.compile(rb",[ \t\r\n]*[}\]]")
NOT_A_NUMBER = re.compile(rb"\b(?!NaN\b|Infinity\b)(?i:nan|inf(?:inity)?)\b")
LONG_NUMBER = re.compile(rb"\d{4000}")
DEEP = 500

NUMBERS = [b"12.5", b"0", b"-0", b"1e2", b"1e999", b"-1e999", b"1e-999", b"9" * 400, b"01", b"1.", b".5", b"+1", b"0x10", b"1_0",
           b"NaN", b"Infinity", b"-Infinity", b"nan", b"inf", b"9007199254740993", b"2024.0", b"300.0000000000000001"]  # fmt: skip
TEXTS = [b'""', b'"a"', b'"North"', b'"12"', b'"true"', b'"null"', b'"[1]"', b'"{}"', b'"\\u0000"', b'"a\\u0000b"', b'"\\ud800"',
         b'"\\udc00\\ud800"', b'"\\ud83d\\ude00"', b'"\\x41"', b'"a\tb"', b'"\x00"', b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\x80"',
         b'"\xef\xbb\xbfa"', b'"\xe2\x80\xa8"', b"'a'", b'"', b'"\\"', b'"},{"', b'"' + b"x" * 70_000 + b'"']  # fmt: skip
TIMES = [b'"2026-01-31T12:30:45.123Z"', b'"2026-01-31T24:00:00.000Z"', b'"2026-01-31T 2:00:00.000Z"', b'"0000-01-31T12:30:45.123Z"',
         b'"-026-01-31T12:30:45.123Z"', b'"2026-01-31T12:30:45Z"', b'"2026-02-30T12:30:45.123Z"', b'"2026-01-31T12:30:60.000Z"',
         b'"infinity"', b'"epoch"', b'"9999-12-31T23:59:59.999Z"', b'"0001-01-01T00:00:00.000Z"', b'"1970-01-01T00:00:00.000Z"',
         b'"2099-12-31T23:59:59.999Z"', b'"2100-01-01T00:00:00.000Z"', b'"1969-12-31T23:59:59.999Z"']  # fmt: skip
PLACES = [b"[51.5,-0.1]", b"[91,0]", b"[1]", b"[1,2,3]", b"[]", b'["1","2"]', b"[null,1]", b"[[1,2]]", b'{"0":1,"1":2}', b'"[1,2]"',
          b"[1e999,0]", b"[NaN,0]", b"[-0.0,180.00000000000001]"]  # fmt: skip
OTHERS = [b"null", b"true", b"false", b"tru", b"", b"{}", b"[" * 400 + b"]" * 400, b'{"a":' * 400 + b"1" + b"}" * 400, b"/*x*/1"]
KEYS = [b'"id"', b'"\\u0069d"', b'"ID"', b'"id\\u0000"', b'""', b'"z"', b'"\\ud800"', b"id", b'"location"', b'"lo\\u0063ation"']
SPACES = [b"", b"", b"", b" ", b"\n", b"\t\r\n", b"\x00", b"\x0b", b"\xa0", b"\xc2\xa0", b"\xef\xbb\xbf"]
VALUES = [*NUMBERS, *TEXTS, *TIMES, *PLACES, *OTHERS]


@st.composite
def documents(draw: st.DrawFn, event: Event) -> bytes:
    """A real event with members replaced, doubled, added or in another order, then cut into."""
    members = [(b'"%s"' % name.encode(), json.dumps(value).encode()) for name, value in GOOD.items()]
    names = st.sampled_from([b'"%s"' % field.name.encode() for field in event.fields]) | st.sampled_from(KEYS)
    for name, value in draw(st.lists(st.tuples(names, st.sampled_from(VALUES)), max_size=3)):
        at = draw(st.integers(0, len(members)))
        members[at : at + draw(st.integers(0, 1))] = [(name, value)]
    space = draw(st.sampled_from(SPACES))
    text = b"{" + (b"," + space).join(name + b":" + space + value for name, value in members) + b"}" + space
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 2]))):
        first, last = sorted(draw(st.tuples(*[st.integers(0, len(text))] * 2)))
        inserted = draw(
            st.sampled_from([b"", b"", *SPACES, b"{", b"}", b"]", b'"', b"\\", b",", b"\xff", text[first:last] * 2, DOCUMENT])
        )
        text = text[:first] + inserted + text[draw(st.sampled_from([first, last])) :]
    return draw(st.sampled_from([b"", b"", b"", b"", b"\xef\xbb\xbf", b"\x00", b"\xff\xfe"])) + text


@st.composite
def batches(draw: st.DrawFn) -> tuple[str, list[bytes | None]]:
    event = draw(st.sampled_from(EVENTS))
    record = documents(event) | st.just(DOCUMENT) | st.binary(max_size=30) | st.none()
    return event.kind, draw(st.lists(record, min_size=1, max_size=25))


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    con = duckdb.connect(config={"threads": 1})
    con.execute("SET TimeZone = 'UTC'")
    yield con
    con.close()


@pytest.fixture(scope="module", params=[True, False], ids=["quickly", "carefully"])
def quickly(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def raw(payloads: Sequence[bytes | None]) -> pa.Table:
    n = len(payloads)
    return pa.table([[0] * n, list(range(n)), [NOW] * n, list(payloads)], schema=RAW_SCHEMA)


def decoded(decoder: Decoder, payloads: Sequence[bytes | None]) -> list[dict[str, Any]]:
    """The rows in the order of their records; each record has one."""
    rows: list[dict[str, Any]] = decoder.decode(raw(payloads), NOW).sort_by("kafka_offset").to_pylist()
    assert [row["kafka_offset"] for row in rows] == list(range(len(payloads)))
    return rows


def judged_alike(payload: bytes | None) -> bool:
    """Whether Python and DuckDB are of one mind about what is JSON here."""
    text = payload or b""
    return not (
        TRAILING_COMMA.search(text)
        or NOT_A_NUMBER.search(text)
        or LONG_NUMBER.search(text)
        or text.count(b"[") + text.count(b"{") > DEEP
    )


def check(decoder: Decoder, event: Event, payloads: Sequence[bytes | None]) -> None:
    """Each record has one row, the same in any order and alone, and the one the reference makes of it."""
    rows = decoded(decoder, payloads)
    turned = decoded(decoder, payloads[::-1])[::-1]
    middle = len(payloads) // 2
    assert without_offset(decoded(decoder, [payloads[middle]])[0]) == without_offset(rows[middle])
    for payload, row, other in zip(payloads, rows, turned, strict=True):
        assert without_offset(row) == without_offset(other), payload
        assert row["payload"] == (None if row["reject_reason"] is None else payload), payload
    alike = [(payload, row) for payload, row in zip(payloads, rows, strict=True) if judged_alike(payload)]
    judged = [without_offset(row) | {"kafka_offset": number} for number, (_, row) in enumerate(alike)]
    check_rows(event, [payload for payload, _ in alike], pa.Table.from_pylist(judged, schema=table_schema(bronze_of(event))), NOW)


def without_offset(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "kafka_offset"}


@given(batches())
@fuzz(60)
def test_every_record_is_one_row_alone_and_in_any_batch(
    connection: duckdb.DuckDBPyConnection, quickly: bool, made: tuple[str, list[bytes | None]]
) -> None:
    kind, payloads = made
    event = next(event for event in EVENTS if event.kind == kind)
    check(Decoder(event, connection, quickly=quickly), event, payloads)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_every_odd_value_in_every_field(connection: duckdb.DuckDBPyConnection, quickly: bool, event: Event) -> None:
    payloads: list[bytes | None] = []
    for field in event.fields:
        others = {name: value for name, value in GOOD.items() if name != field.name}
        rest = json.dumps(others).encode()[1:]
        payloads += [b'{"%s":%s,' % (field.name.encode(), value) + rest for value in VALUES]
    payloads += [b"{%s:%s," % (key, value) + DOCUMENT[1:] for key in KEYS for value in VALUES if judged_alike(value)]
    check_rows(event, payloads, Decoder(event, connection, quickly=quickly).decode(raw(payloads), NOW), NOW)


def test_a_time_with_any_two_characters_changed(connection: duckdb.DuckDBPyConnection, quickly: bool) -> None:
    """What DuckDB casts to a time and the contract does not: years before 1 made rows that no Python could read."""
    good, characters = "2026-01-31T12:30:45.123Z", " +-0249:\tZ"
    places = combinations([0, 1, 3, 4, 5, 6, 8, 9, 10, 11, 12, 14, 17, 18, 19, 20, 22, 23], 2)
    texts = {good[:i] + a + good[i + 1 : j] + b + good[j + 1 :] for (i, j), a, b in product(places, characters, characters)} | {
        year + good[4:] for year in ("0000", "0001", "-001", "1969", "1970", "2099", "2100", "9999", "+999", "\u0662026")
    }
    payloads = [json.dumps(GOOD | {"timestamp": text}).encode() for text in sorted(texts)]
    rows = check_rows(VEHICLE, payloads, Decoder(VEHICLE, connection, quickly=quickly).decode(raw(payloads), NOW), NOW)
    assert 0 < sum(row["reject_reason"] is None for row in rows) < len(rows)


@pytest.mark.parametrize(
    "value",
    [
        b"9" * 5000, b"[" * 10_000 + b"]" * 10_000, b'{"a":' * 10_000 + b"1" + b"}" * 10_000, b"[" * 1_000_000, b'{"a":[' * 50_000,
        b"[1,]", b'{"a":1,\n}', b'"' + b"x" * 3_000_000 + b'"', b'"' + b"\\u0000" * 200_000 + b'"', b"\x00" * 1_000_000,
    ],
    ids=lambda value: f"{value[:5]!r} of {len(value)}",
)  # fmt: skip
@pytest.mark.parametrize("field", ["speed", "make", "location", "unknown"])
def test_what_is_deep_or_huge_is_one_row_too(
    connection: duckdb.DuckDBPyConnection, quickly: bool, field: str, value: bytes
) -> None:
    rest = json.dumps({name: good for name, good in GOOD.items() if name != field}).encode()[1:]
    payloads = [DOCUMENT, b'{"%s":%s,' % (field.encode(), value) + rest, DOCUMENT]
    check(Decoder(VEHICLE, connection, quickly=quickly), VEHICLE, payloads)


def test_a_flood_of_poison_between_good_records(connection: duckdb.DuckDBPyConnection, quickly: bool) -> None:
    poison = [payload for payload in every_kind() if payload is None or len(payload) < 1000]
    payloads = [DOCUMENT if number % 10 == 0 else poison[number % len(poison)] for number in range(20_000)]
    rows = decoded(Decoder(VEHICLE, connection, quickly=quickly), payloads)
    reasons = {payload: parse(VEHICLE, payload).reject_reason for payload in {*payloads}}
    assert [row["reject_reason"] for row in rows] == [reasons[payload] for payload in payloads]
