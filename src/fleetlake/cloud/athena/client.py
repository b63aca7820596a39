"""Running one statement in an Athena workgroup: start, wait, read; stop it if we are stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from fleetlake.cloud.athena.price import usd_for
from fleetlake.cloud.athena.results import typed
from fleetlake.cloud.aws.session import told, without_accounts
from fleetlake.foundation.errors import BadInput, FleetlakeError, Retryable

WHERE = "Athena"
FIRST_WAIT_S, LONGEST_WAIT_S, GROWTH = 0.1, 2.0, 1.5
PAGE_ROWS = 1000
ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")
USERS_FAULT = 2  # AthenaError's ErrorCategory
MORE_RUNS = "MORE_RUNS_NEEDED"  # of OPTIMIZE and VACUUM: it did a part, and has to be run again


@dataclass(frozen=True, slots=True)
class Execution:
    """A statement on its way or at its end. elapsed_s: since it was started, by our clock. statement_type: DDL, DML or UTILITY."""

    id: str
    state: str
    elapsed_s: float
    scanned_bytes: int = 0
    statement_type: str = ""

    @property
    def usd(self) -> float:
        return usd_for(self.scanned_bytes, self.statement_type)


OnProgress = Callable[[Execution], None]


class Athena:
    """Statements in one workgroup, in which names without a database are of `database`.

    client: boto3's. clock, sleep: seconds. on_progress: told after each look at the state.
    """

    def __init__(
        self,
        client: Any,
        workgroup: str,
        database: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        on_progress: OnProgress = lambda execution: None,
    ) -> None:
        self._client, self._workgroup, self._database = client, workgroup, database
        self._clock, self._sleep, self._on_progress = clock, sleep, on_progress

    def run(self, sql: str, parameters: Sequence[str] = (), *, what: str = "") -> Execution:
        """Runs a statement to its end. parameters: literals for its ?. what: how errors call it.

        BadInput for one that Athena refuses or that scans more than the workgroup allows, Retryable for what may work next time.
        Whatever ends the waiting (Ctrl-C too) also stops the statement.
        """
        where = f"{WHERE}, {what}" if what else WHERE
        asked = {"ExecutionParameters": list(parameters)} if parameters else {}
        with told(where):
            started = self._client.start_query_execution(
                QueryString=sql, QueryExecutionContext={"Database": self._database}, WorkGroup=self._workgroup, **asked
            )
        query_id = str(started["QueryExecutionId"])
        try:
            ended, status = self._wait(query_id, where)
        except BaseException:  # Ctrl-C, a lost connection: nobody waits for it any more
            with suppress(Exception):
                self._client.stop_query_execution(QueryExecutionId=query_id)
            raise
        if ended.state != "SUCCEEDED":
            raise _failure(status, ended.state, where)
        return ended

    def rows(self, execution: Execution, limit: int = 0) -> pa.Table:
        """The rows of a statement that succeeded, page by page; limit: at most, 0 for all."""
        columns: Sequence[dict[str, Any]] = ()
        found: list[list[str | None]] = []
        with told(WHERE):
            for page in self._pages(execution, limit):
                rows = [[datum.get("VarCharValue") for datum in row.get("Data", ())] for row in page["ResultSet"].get("Rows", ())]
                if not columns:
                    columns = page["ResultSet"].get("ResultSetMetadata", {}).get("ColumnInfo", ())
                    if execution.statement_type == "DML" and rows and rows[0] == [column["Name"] for column in columns]:
                        rows = rows[1:]  # a query's first row are its names
                found += rows
                if limit and len(found) >= limit:
                    break
        return typed(columns, found[:limit] if limit else found)

    def _pages(self, execution: Execution, limit: int) -> Iterator[dict[str, Any]]:
        size = min(limit + 1, PAGE_ROWS) if limit else PAGE_ROWS
        pages = self._client.get_paginator("get_query_results").paginate(
            QueryExecutionId=execution.id, PaginationConfig={"PageSize": size}
        )
        yield from pages

    def _wait(self, query_id: str, where: str) -> tuple[Execution, dict[str, Any]]:
        """How it ended, and what Athena says of that."""
        since, wait_s = self._clock(), FIRST_WAIT_S
        while True:
            with told(where):
                found = self._client.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]
            execution = Execution(
                query_id,
                str(found["Status"]["State"]),
                self._clock() - since,
                int(found.get("Statistics", {}).get("DataScannedInBytes", 0)),
                str(found.get("StatementType", "")),
            )
            self._on_progress(execution)
            if execution.state in ENDED:
                return execution, found["Status"]
            self._sleep(wait_s)
            wait_s = min(wait_s * GROWTH, LONGEST_WAIT_S)


def _failure(status: dict[str, Any], state: str, where: str) -> FleetlakeError:
    """What Athena said, in one line without account ids."""
    error = status.get("AthenaError", {})
    said = without_accounts(" ".join(str(status.get("StateChangeReason") or error.get("ErrorMessage") or state).split()))
    if MORE_RUNS in said:
        return Retryable(f"a part is done: {said}", where=where, hint="run it again until it ends without this")
    if state == "CANCELLED" and "scan" in said.lower():
        return BadInput(
            f"it would scan more than the workgroup allows: {said}", where=where, hint="ask for fewer days, or raise the limit"
        )
    if state == "CANCELLED":
        return Retryable(f"it was stopped: {said}", where=where)
    if error.get("Retryable") or error.get("ErrorCategory", USERS_FAULT) != USERS_FAULT:
        return Retryable(f"Athena could not run it: {said}", where=where, hint="run it again")
    return BadInput(f"Athena refused: {said}", where=where)
