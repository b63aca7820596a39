"""Running a statement: states, rows and their types, costs, errors."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from athena_fakes import FakeAthena, refused
from botocore.exceptions import EndpointConnectionError
from moto.core import DEFAULT_ACCOUNT_ID

from fleetlake.cloud.athena.client import Athena, Execution
from fleetlake.cloud.athena.price import usd_for
from fleetlake.cloud.athena.results import typed
from fleetlake.foundation.errors import BadInput, FleetlakeError, Retryable


class Clock:
    """Time that passes while one sleeps."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, list[float]()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def column(name: str, type_: str, **more: int) -> dict[str, Any]:
    return {"Name": name, "Type": type_, **more}


def page(columns: list[dict[str, Any]], *rows: tuple[str | None, ...]) -> dict[str, Any]:
    data = [{"Data": [{} if value is None else {"VarCharValue": value} for value in row]} for row in rows]
    return {"ResultSet": {"Rows": data, "ResultSetMetadata": {"ColumnInfo": columns}}}


def test_it_waits_longer_and_longer_and_tells_each_look() -> None:
    fake, clock, seen = FakeAthena(), Clock(), list[Execution]()
    fake.states, fake.scanned = ["QUEUED"] + ["RUNNING"] * 9 + ["SUCCEEDED"], 123
    athena = Athena(fake, "wg", "fleet", clock=clock, sleep=clock.sleep, on_progress=seen.append)
    ended = athena.run("SELECT ?", ["'a'"])
    assert [round(s, 3) for s in clock.slept] == [0.1, 0.15, 0.225, 0.338, 0.506, 0.759, 1.139, 1.709, 2.0, 2.0]
    assert [execution.state for execution in seen] == ["QUEUED"] + ["RUNNING"] * 9 + ["SUCCEEDED"]
    assert ended == Execution("q-1", "SUCCEEDED", clock.now, 123, "DML")
    assert fake.started == [
        {
            "QueryString": "SELECT ?", "QueryExecutionContext": {"Database": "fleet"}, "WorkGroup": "wg",
            "ExecutionParameters": ["'a'"],
        }
    ]  # fmt: skip
    assert fake.stopped == []


def test_without_parameters_none_are_sent() -> None:
    fake = FakeAthena()
    Athena(fake, "wg", "fleet").run("SELECT 1")
    assert "ExecutionParameters" not in fake.started[0]


def test_ctrl_c_stops_the_statement_there() -> None:
    fake = FakeAthena()
    fake.states = ["RUNNING"]

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Athena(fake, "wg", "fleet", sleep=interrupted).run("SELECT 1")
    assert fake.stopped == ["q-1"]


def failed(said: str, **error: Any) -> dict[str, Any]:
    return {"State": "FAILED", "StateChangeReason": said, "AthenaError": error}


def cancelled(said: str) -> dict[str, Any]:
    return {"State": "CANCELLED", "StateChangeReason": said}


def test_a_lost_connection_stops_it_too() -> None:
    class Lost(FakeAthena):
        def get_query_execution(self, **asked: Any) -> dict[str, Any]:
            raise EndpointConnectionError(endpoint_url="https://athena")

    fake = Lost()
    with pytest.raises(Retryable, match="AWS can't be reached"):
        Athena(fake, "wg", "fleet").run("SELECT 1")
    assert fake.stopped == ["q-1"]


def test_what_has_ended_is_not_stopped() -> None:
    fake = FakeAthena()
    fake.fails["SELECT"] = failed("no", ErrorCategory=2)
    with pytest.raises(BadInput):
        Athena(fake, "wg", "fleet").run("SELECT 1")
    assert fake.stopped == []


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (failed("SYNTAX_ERROR: line 1:8:\n no", ErrorCategory=2), BadInput, "refused: SYNTAX_ERROR: line 1:8: no; at Athena, what"),
        (failed("no reason"), BadInput, "Athena refused: no reason"),
        (failed("", ErrorCategory=1, ErrorMessage="disk"), Retryable, "Athena could not run it: disk"),
        (failed("", ErrorCategory=2, Retryable=True), Retryable, "Athena could not run it: FAILED"),
        (failed("ICEBERG_VACUUM_MORE_RUNS_NEEDED: 1000", ErrorCategory=2), Retryable, "a part is done"),
        (cancelled("Bytes scanned limit was exceeded"), BadInput, "more than the workgroup allows"),
        (cancelled("by a user"), Retryable, "it was stopped: by a user"),
    ],
)
def test_how_it_fails(status: dict[str, Any], kind: type[FleetlakeError], said: str) -> None:
    fake = FakeAthena()
    fake.fails["SELECT"] = status
    with pytest.raises(kind) as caught:
        Athena(fake, "wg", "fleet").run("SELECT a", what="what")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_error_tells_the_account() -> None:
    fake = FakeAthena()
    fake.fails["SELECT"] = {
        "State": "FAILED",
        "StateChangeReason": f"no access to arn:aws:glue:eu-west-2:{DEFAULT_ACCOUNT_ID}:catalog",
    }
    with pytest.raises(BadInput) as caught:
        Athena(fake, "wg", "fleet").run("SELECT a")
    assert DEFAULT_ACCOUNT_ID not in str(caught.value)


def test_a_statement_that_is_not_even_started() -> None:
    class Strict(FakeAthena):
        def start_query_execution(self, **asked: Any) -> dict[str, str]:
            raise refused("InvalidRequestException", "line 1:1: mismatched input 'SELEC'")

    with pytest.raises(BadInput, match="mismatched input 'SELEC'"):
        Athena(Strict(), "wg", "fleet").run("SELEC 1")


COLUMNS = [column("name", "varchar"), column("n", "bigint")]
PAGES = [page(COLUMNS, ("name", "n"), ("a", "1"), ("name", "2")), page(COLUMNS, ("name", "3"), (None, None))]


@pytest.mark.parametrize(
    ("limit", "rows", "pages", "size"),
    [(0, [("a", 1), ("name", 2), ("name", 3), (None, None)], 2, 1000), (2, [("a", 1), ("name", 2)], 1, 3), (1, [("a", 1)], 1, 2)],
)
def test_rows_page_by_page(limit: int, rows: list[tuple[str | None, int | None]], pages: int, size: int) -> None:
    fake = FakeAthena()
    fake.pages = PAGES
    found = Athena(fake, "wg", "fleet").rows(Execution("q", "SUCCEEDED", 0, 0, "DML"), limit)
    assert [tuple(row.values()) for row in found.to_pylist()] == rows
    assert found.schema == pa.schema({"name": pa.string(), "n": pa.int64()})
    assert fake.asked_pages == [{"QueryExecutionId": "q", "PaginationConfig": {"PageSize": size}}] * pages


def test_what_is_no_query_has_no_row_of_names() -> None:
    fake = FakeAthena()
    fake.pages = [page([column("database_name", "string")], ("database_name",), ("fleet",))]
    found = Athena(fake, "wg", "fleet").rows(Execution("q", "SUCCEEDED", 0, 0, "DDL"))
    assert found["database_name"].to_pylist() == ["database_name", "fleet"]


def test_a_statement_without_rows() -> None:
    fake = FakeAthena()
    fake.pages = [{"ResultSet": {}}]
    assert Athena(fake, "wg", "fleet").rows(Execution("q", "SUCCEEDED", 0, 0, "DDL")).num_rows == 0


@pytest.mark.parametrize(
    ("columns", "text", "kind", "value"),
    [
        (column("c", "varchar"), "", pa.string(), ""),
        (column("c", "tinyint"), "-1", pa.int8(), -1),
        (column("c", "smallint"), "7", pa.int16(), 7),
        (column("c", "integer"), "7", pa.int32(), 7),
        (column("c", "bigint"), str(2**62), pa.int64(), 2**62),
        (column("c", "float"), "0.5", pa.float32(), 0.5),
        (column("c", "double"), "1.0E-5", pa.float64(), 1e-5),
        (column("c", "double"), "Infinity", pa.float64(), float("inf")),
        (column("c", "boolean"), "true", pa.bool_(), True),
        (column("c", "boolean"), "false", pa.bool_(), False),
        (column("c", "date"), "2026-01-31", pa.date32(), date(2026, 1, 31)),
        (column("c", "time"), "12:00:00.500", pa.time64("us"), time(12, 0, 0, 500_000)),
        (column("c", "timestamp"), "2026-01-31 12:00:00.000001", pa.timestamp("us"), datetime(2026, 1, 31, 12, 0, 0, 1)),
        (
            column("c", "timestamp with time zone"), "2026-01-31 12:00:00.000 UTC", pa.timestamp("us", tz="UTC"),
            datetime(2026, 1, 31, 12, tzinfo=UTC),
        ),
        (
            column("c", "timestamp with time zone"), "2026-07-31 12:00:00.000 Europe/London", pa.timestamp("us", tz="UTC"),
            datetime(2026, 7, 31, 11, tzinfo=UTC),
        ),
        (
            column("c", "timestamp with time zone"), "2026-01-31 12:00:00.000 -05:30", pa.timestamp("us", tz="UTC"),
            datetime(2026, 1, 31, 17, 30, tzinfo=UTC),
        ),
        (column("c", "decimal", Precision=9, Scale=2), "1.50", pa.decimal128(9, 2), Decimal("1.50")),
        (column("c", "varbinary"), "7b 62 ff", pa.binary(), b"{b\xff"),
        (column("c", "row"), "{a=1}", pa.string(), "{a=1}"),
        (column("c", "array"), "[1.5, 2.5]", pa.string(), "[1.5, 2.5]"),
    ],
)  # fmt: skip
def test_a_type(columns: dict[str, Any], text: str, kind: pa.DataType, value: object) -> None:
    found = typed([columns], [[text], [None], []])
    assert found.schema.types == [kind]
    assert found["c"].to_pylist() == [value, None, None]


def test_columns_of_one_name_stay_two() -> None:
    assert typed([column("a", "integer"), column("a", "integer")], [["1", "2"]]).column_names == ["a", "a"]


@pytest.mark.parametrize(
    ("scanned", "type_", "usd"),
    [
        (0, "DML", 10 / 2**20 * 5), (10 * 2**20, "DML", 10 / 2**20 * 5), (10 * 2**20 + 1, "DML", 11 / 2**20 * 5),
        (2**40, "DML", 5.0), (2**40, "DDL", 0.0), (2**40, "UTILITY", 0.0),
    ],
)  # fmt: skip
def test_what_it_costs(scanned: int, type_: str, usd: float) -> None:
    assert usd_for(scanned, type_) == usd
    assert Execution("q", "SUCCEEDED", 0, scanned, type_).usd == usd
