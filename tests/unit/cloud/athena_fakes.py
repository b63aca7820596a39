"""Athena, Glue and S3 as far as `deploy athena` and `athena query` use them, with botocore's own errors."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

BATCH = 50  # what AWS takes at once


def refused(code: str, said: str = "no", operation: str = "Operation") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": said}}, operation)


class Pages:
    """A paginator over pages that are there already."""

    def __init__(self, pages: Sequence[Mapping[str, Any]], asked: list[Mapping[str, Any]]) -> None:
        self._pages, self._asked = pages, asked

    def paginate(self, **arguments: Any) -> Iterator[Mapping[str, Any]]:
        for page in self._pages:
            self._asked.append(arguments)
            yield page


class FakeGlue:
    """databases: name to properties. tables: (database, name) to its own."""

    def __init__(self, *tables: str) -> None:
        self.databases: dict[str, dict[str, Any]] = {}
        self.tables: dict[tuple[str, str], dict[str, Any]] = {}
        for table in tables:
            database, name = table.split(".")
            self.tables[database, name] = {}

    def get_database(self, *, Name: str) -> dict[str, Any]:  # noqa: N803  # boto3's names
        if Name not in self.databases:
            raise refused("EntityNotFoundException")
        return {"Database": {"Name": Name, "CreateTime": "then", **self.databases[Name]}}

    def create_database(self, *, DatabaseInput: dict[str, Any]) -> None:  # noqa: N803
        assert DatabaseInput["Name"] not in self.databases
        self.databases[DatabaseInput["Name"]] = {k: v for k, v in DatabaseInput.items() if k != "Name"}

    def update_database(self, *, Name: str, DatabaseInput: dict[str, Any]) -> None:  # noqa: N803
        assert "CreateTime" not in DatabaseInput
        self.databases[Name] = {k: v for k, v in DatabaseInput.items() if k != "Name"}

    def get_table(self, *, DatabaseName: str, Name: str) -> dict[str, Any]:  # noqa: N803
        if (DatabaseName, Name) not in self.tables:
            raise refused("EntityNotFoundException")
        return {"Table": {"Name": Name, "Parameters": self.tables[DatabaseName, Name]}}


class FakeAthena:
    """Runs the DDL that it is given against a FakeGlue. fails: what a statement with that text in it ends with."""

    def __init__(self, glue: FakeGlue | None = None) -> None:
        self.glue, self.statements, self.stopped = glue or FakeGlue(), list[str](), list[str]()
        self.named: dict[str, dict[str, Any]] = {}
        self.fails: dict[str, dict[str, Any]] = {}
        self.states: list[str] = ["SUCCEEDED"]
        self.pages: list[dict[str, Any]] = []
        self.asked_pages: list[Mapping[str, Any]] = []
        self.started: list[Mapping[str, Any]] = []
        self.statement_type, self.scanned = "DML", 0
        self._ids = itertools.count(1)

    def start_query_execution(self, **asked: Any) -> dict[str, str]:
        self.started.append(asked)
        self.statements.append(asked["QueryString"])
        return {"QueryExecutionId": f"q-{len(self.statements)}"}

    def get_query_execution(self, *, QueryExecutionId: str) -> dict[str, Any]:  # noqa: N803
        sql = self.statements[int(QueryExecutionId.removeprefix("q-")) - 1]
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        status: dict[str, Any] = {"State": state}
        for text, ended in self.fails.items():
            if text in sql:
                status = ended
        if status["State"] == "SUCCEEDED":
            self._carry_out(sql)
        return {
            "QueryExecution": {
                "Status": status, "StatementType": self.statement_type, "Statistics": {"DataScannedInBytes": self.scanned},
            }
        }  # fmt: skip

    def stop_query_execution(self, *, QueryExecutionId: str) -> None:  # noqa: N803
        self.stopped.append(QueryExecutionId)

    def get_paginator(self, name: str) -> Pages:
        if name == "get_query_results":
            return Pages(self.pages, self.asked_pages)
        assert name == "list_named_queries"
        ids = list(self.named)
        chunks = [ids[first : first + BATCH] for first in range(0, len(ids), BATCH)] or [[]]
        return Pages([{"NamedQueryIds": chunk} for chunk in chunks], [])

    def batch_get_named_query(self, *, NamedQueryIds: list[str]) -> dict[str, Any]:  # noqa: N803
        assert 1 <= len(NamedQueryIds) <= BATCH
        return {"NamedQueries": [{"NamedQueryId": name, **self.named[name]} for name in NamedQueryIds]}

    def create_named_query(self, **asked: Any) -> None:
        self.named[f"n-{next(self._ids):04d}"] = asked

    def update_named_query(self, *, NamedQueryId: str, **asked: Any) -> None:  # noqa: N803
        assert set(asked) == {"Name", "Description", "QueryString"}
        self.named[NamedQueryId] |= asked

    def delete_named_query(self, *, NamedQueryId: str) -> None:  # noqa: N803
        del self.named[NamedQueryId]

    def _carry_out(self, sql: str) -> None:
        if made := re.match(r"CREATE EXTERNAL TABLE IF NOT EXISTS `(\w+)`\.`(\w+)`", sql):
            properties = dict(re.findall(r"'([\w.]+)'='([^']*)'", sql))
            self.glue.tables.setdefault((made[1], made[2]), properties)
        elif made := re.match(r'CREATE OR REPLACE VIEW "(\w+)"\."(\w+)"', sql):
            self.glue.tables[made[1], made[2]] = {"presto_view": "true"}
        elif made := re.match(r"DROP TABLE IF EXISTS `(\w+)`\.`(\w+)`", sql):
            self.glue.tables.pop((made[1], made[2]), None)
