"""The digest of rows: what it must not depend on, what it must depend on, and that C and numpy compute the same."""

from __future__ import annotations

import math
import struct
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import EVENTS, VEHICLE
from fleetlake.contracts.iceberg import iceberg_schema
from fleetlake.contracts.tables import bronze_of
from fleetlake.lake import digest as module
from fleetlake.lake.digest import Account, Digest, adjusted, change_between, digest_of
from fleetlake.runtime.compiled import NotPossible, compiled

TABLE = bronze_of(VEHICLE)
ARROW, ICEBERG = table_schema(TABLE), iceberg_schema(TABLE)
TIMES = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))
VALUES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.string(): st.text(max_size=40), pa.binary(): st.binary(max_size=40), pa.float64(): st.floats(allow_nan=False),
    pa.int32(): st.integers(-(2**31), 2**31 - 1), pa.int64(): st.integers(-(2**63), 2**63 - 1), pa.bool_(): st.booleans(),
    ARROW.field("ingested_at").type: TIMES,
}  # fmt: skip
ROW = st.fixed_dictionaries({f.name: VALUES[f.type] if f.name.startswith("kafka_o") else st.none() | VALUES[f.type] for f in ARROW})
ROWS = st.lists(ROW, min_size=1, max_size=9)


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=pa.schema([field.with_nullable(True) for field in ARROW]))


def by_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing() -> None:
        raise NotPossible

    monkeypatch.setattr(module, "compiled", nothing)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_nothing_but_the_values_matters(rows: list[dict[str, Any]], random: Any) -> None:
    table = table_of(rows)
    expected = digest_of(table, ICEBERG)
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert digest_of(table_of(shuffled), ICEBERG) == expected
    cut = random.randrange(len(rows) + 1)
    assert digest_of(table.slice(0, cut), ICEBERG) + digest_of(table.slice(cut), ICEBERG) == expected
    chunked = pa.concat_tables([table.slice(0, cut), table.slice(cut)])
    assert digest_of(chunked.select(random.sample(table.column_names, len(table.column_names))), ICEBERG) == expected
    other_types = {pa.string(): pa.large_string(), pa.binary(): pa.large_binary(), pa.int32(): pa.int64()}
    widened = pa.schema([pa.field(f.name, other_types.get(f.type, f.type)) for f in ARROW])
    assert digest_of(table.cast(widened), ICEBERG) == expected
    encoded = [c.dictionary_encode() if pa.types.is_string(c.type) else c for c in table.columns]
    assert digest_of(pa.table(encoded, names=table.column_names), ICEBERG) == expected
    empty = [name for name in table.column_names if table[name].null_count == len(rows)]
    assert digest_of(table.drop_columns(empty), ICEBERG) == expected  # as before the column was added
    assert digest_of(table_of(rows), ICEBERG) - expected == Digest()


@settings(max_examples=60, deadline=None)
@given(ROWS, st.data())
def test_any_value_matters(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    number, field = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.sampled_from(list(ARROW)))
    value = data.draw((st.none() | VALUES[field.type]).filter(lambda value: not _same(value, rows[number][field.name])))
    altered = [row | {field.name: value} if at == number else row for at, row in enumerate(rows)]
    assert digest_of(table_of(altered), ICEBERG).total != digest_of(table_of(rows), ICEBERG).total


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return struct.pack("d", one) == struct.pack("d", other)
    return bool(one == other)


def test_values_exchanged_between_rows_and_between_columns_matter() -> None:
    base = {"kafka_partition": 0, "ingested_at": datetime(2026, 1, 1, tzinfo=UTC)}
    rows = [base | {"kafka_offset": n, "device_id": f"v{n}", "event_id": f"e{n}"} for n in range(2)]
    expected = digest_of(table_of(rows), ICEBERG).total
    between_rows = [rows[0] | {"device_id": "v1"}, rows[1] | {"device_id": "v0"}]
    between_columns = [row | {"device_id": row["event_id"], "event_id": row["device_id"]} for row in rows]
    assert len({expected, *(digest_of(table_of(changed), ICEBERG).total for changed in (between_rows, between_columns))}) == 3


@settings(max_examples=60, deadline=None)
@given(ROWS, st.integers(0, 8))
def test_c_and_numpy_compute_the_same(rows: list[dict[str, Any]], skipped: int) -> None:
    table = table_of(rows).slice(min(skipped, len(rows)))
    compiled()  # what is compared has to be there
    expected = digest_of(table, ICEBERG)
    with pytest.MonkeyPatch.context() as patched:
        by_numpy(patched)
        assert digest_of(table, ICEBERG) == expected


def test_the_definition_never_changes() -> None:
    """A change of this number makes every lake's digest wrong: it needs another VERSION."""
    row = {
        "kafka_partition": 3, "kafka_offset": 2**40, "kafka_timestamp": datetime(2026, 1, 1, tzinfo=UTC),
        "ingested_at": datetime(1969, 1, 1, tzinfo=UTC), "reject_reason": "", "payload": bytes(range(17)),
        "event_id": "12345678", "device_id": "véhicule-9", "speed_kmh": -0.0,
    }  # fmt: skip
    assert digest_of(table_of([row]), ICEBERG) == Digest(1, EXPECTED)


EXPECTED = 15305102762129373391


def test_nan_is_one_value_and_the_zeros_are_two() -> None:
    def of(value: float) -> int:
        return digest_of(pa.table({"kafka_offset": [1], "speed_kmh": [value]}), ICEBERG).total

    (other_nan,) = struct.unpack("d", struct.pack("Q", 0xFFF0000000000001))
    assert math.isnan(other_nan)
    assert of(math.nan) == of(other_nan)
    assert of(0.0) != of(-0.0)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_every_bronze_table_can_be_hashed(event: Any) -> None:
    table = bronze_of(event)
    rows = pa.Table.from_batches([], schema=table_schema(table))
    assert digest_of(rows, iceberg_schema(table)) == Digest()


def test_an_account_survives_the_properties_of_a_table() -> None:
    for account in (Account(Digest(3, 2**64 - 1), "c"), Account(Digest(), "c", {0: 7}), Account(Digest(), "c", {})):
        assert Account.of(account.properties(begins=True)) == account
    assert Account.of({}) is None
    assert Account.of({module.PROPERTY: '{"version":2}'}) is None  # a later version's, which we can't read


def test_a_digest_begun_on_a_table_with_rows_counts_the_later_ones_only() -> None:
    rows = pa.table({"kafka_partition": np.array([0, 0, 1, 2], np.int32), "kafka_offset": np.array([6, 7, 0, 5])})
    account = Account(Digest(2, 99), "c", {0: 7, 2: 6})
    assert account.counted(rows)["kafka_offset"].to_pylist() == [7, 0]
    properties = account.properties(begins=True)
    changed = adjusted(properties, [change_between(properties, ICEBERG, rows, rows.slice(0, 1))])
    after = Account.of(properties | changed)
    assert after is not None
    assert after.digest == Digest(2, 99) - digest_of(rows.slice(1, 2), ICEBERG)
    assert after.since == account.since
    assert change_between({}, ICEBERG, rows, rows.slice(0, 0)) == Digest()
    assert adjusted({}, [Digest(-1, 5)]) == {}
