"""Making what a plan says: what is there already and the same is left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fleetlake.cloud.athena.client import Athena
from fleetlake.cloud.athena.named import NamedQuery
from fleetlake.cloud.athena.naming import hive_table
from fleetlake.cloud.athena.plan import DIGEST, AthenaObjectKind, AthenaPlan, AthenaStatement
from fleetlake.cloud.aws.deployment import VIEW_DIGEST  # a view itself can't have properties
from fleetlake.cloud.aws.session import error_code, told
from fleetlake.foundation.errors import BadInput, FleetlakeError, Missing

BEGUN = "begun"
KEPT = ("Description", "LocationUri", "CreateTableDefaultPermissions", "TargetDatabase")  # an update replaces all
BATCH = 50  # named queries that AWS tells of at once
DATABASE_SAID = "fleetlake: views, and external tables over the raw landing"


class Done(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    WAITS = "waits"


@dataclass(frozen=True, slots=True)
class StatementOutcome:
    """kind: database, table, view or named query. missing: for a view that waits, the tables that are not there yet."""

    kind: str
    name: str
    done: Done
    missing: tuple[str, ...] = ()


OnOutcome = Callable[[StatementOutcome], None]


def require_workgroup(athena: Any, workgroup: str) -> None:
    """Missing if there is no such workgroup; BadInput if it is disabled or has nowhere to put results."""
    hint = "fleetlake deploy aws apply makes one, or --set aws.workgroup=NAME"
    with told("Athena"):
        try:
            with_it = athena.get_work_group(WorkGroup=workgroup).get("WorkGroup")
        except Exception as error:
            if error_code(error) != "InvalidRequestException":
                raise
            with_it = None
    if not with_it:
        raise Missing(f"there is no Athena workgroup {workgroup}", where="aws.workgroup", hint=hint)
    if with_it.get("State", "ENABLED") != "ENABLED":
        raise BadInput(f"the Athena workgroup {workgroup} is disabled", where="aws.workgroup", hint="enable it, or use another")
    configuration = with_it.get("Configuration", {})
    managed = configuration.get("ManagedQueryResultsConfiguration", {}).get("Enabled", False)
    if not configuration.get("ResultConfiguration", {}).get("OutputLocation") and not managed:
        raise BadInput(f"the Athena workgroup {workgroup} has no place for results", where="aws.workgroup", hint=hint)


def require_bucket(s3: Any, bucket: str, account: str) -> None:
    """BadInput if the bucket is another account's or can't be seen, Missing if there is none."""
    with told("S3"):
        try:
            s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
        except Exception as error:
            if ours := _bucket_error(error_code(error)):
                raise ours from error
            raise


def _bucket_error(code: str) -> FleetlakeError | None:
    """None for a code that says nothing about the bucket."""
    if code in ("404", "NoSuchBucket"):
        return Missing("there is no bucket of that name", where="aws.bucket", hint="fleetlake deploy aws apply makes it")
    if code in ("403", "AccessDenied", "Forbidden"):
        what = "the bucket belongs to another account, or the credentials may not see it"
        return BadInput(what, where="aws.bucket", hint="--set aws.bucket=NAME")
    if code in ("301", "400", "PermanentRedirect"):
        return BadInput("the bucket is in another region", where="aws.bucket", hint="--set aws.region=REGION")
    return None


class Apply:
    """One run. glue, named: boto3's clients of Glue and of Athena; athena: runs statements. on_outcome: told each as it is done."""

    def __init__(self, glue: Any, named: Any, athena: Athena, workgroup: str, on_outcome: OnOutcome = lambda outcome: None) -> None:
        self._glue, self._named, self._athena, self._workgroup, self._on_outcome = glue, named, athena, workgroup, on_outcome

    def run(self, plan: AthenaPlan) -> list[StatementOutcome]:
        """Makes what is missing or other than planned, in order; rerunning changes nothing.

        A view whose tables are not there yet waits. BadInput, naming the statement, where Athena refuses; what was made stays, and
        another run goes on from there.
        """
        made: list[StatementOutcome] = []
        for outcome in self._outcomes(plan):
            made.append(outcome)
            self._on_outcome(outcome)
        return made

    def _outcomes(self, plan: AthenaPlan) -> Iterator[StatementOutcome]:
        database = plan.target.database
        yield self._database(database)
        for statement in plan.statements:
            yield self._table(database, statement) if statement.kind is AthenaObjectKind.TABLE else self._view(database, statement)
        yield from self._named_queries(plan.named)

    def _database(self, name: str) -> StatementOutcome:
        with told("Glue"):
            if self._found_database(name) is not None:
                return StatementOutcome("database", name, Done.UNCHANGED)
            self._glue.create_database(DatabaseInput={"Name": name, "Description": DATABASE_SAID})
        return StatementOutcome("database", name, Done.CREATED)

    def _table(self, database: str, statement: AthenaStatement) -> StatementOutcome:
        found = self._found_table(database, statement.name)
        if found is None:
            self._execute(database, statement)
            return StatementOutcome("table", statement.name, Done.CREATED)
        known = found.get("Parameters", {}).get(DIGEST)
        if known == statement.digest:
            return StatementOutcome("table", statement.name, Done.UNCHANGED)
        if known is None:
            raise BadInput(
                "a table of this name is there that fleetlake has not made",
                where=f"Glue, {database}.{statement.name}",
                hint="rename it, or use another database: --set aws.view_database=NAME",
            )
        # External: only its definition goes, the files stay.
        self._athena.run(f"DROP TABLE IF EXISTS {hive_table(f'{database}.{statement.name}')}", what=f"drop of {statement.name}")
        self._execute(database, statement)
        return StatementOutcome("table", statement.name, Done.UPDATED)

    def _view(self, database: str, statement: AthenaStatement) -> StatementOutcome:
        missing = tuple(name for name in statement.reads if self._found_table(*name.split(".")) is None)
        if missing:
            return StatementOutcome("view", statement.name, Done.WAITS, missing)
        there = self._found_table(database, statement.name)
        key = VIEW_DIGEST + statement.name
        known = self._properties(database).get(key)
        if there is not None and known == statement.digest:
            return StatementOutcome("view", statement.name, Done.UNCHANGED)
        if there is not None and known is None:
            raise BadInput(
                "a view of this name is there that fleetlake has not made",
                where=f"Glue, {database}.{statement.name}",
                hint="rename it, or use another database: --set aws.view_database=NAME",
            )
        self._remember(database, key, BEGUN)  # so that a view whose making was cut off is known as ours
        self._execute(database, statement)
        self._remember(database, key, statement.digest)
        return StatementOutcome("view", statement.name, Done.CREATED if there is None else Done.UPDATED)

    def _execute(self, database: str, statement: AthenaStatement) -> None:
        self._athena.run(statement.signed, what=f"{statement.kind} {database}.{statement.name}")

    def _found_database(self, name: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self._or_none(lambda: self._glue.get_database(Name=name)["Database"])
        return found

    def _found_table(self, database: str, name: str) -> dict[str, Any] | None:
        with told(f"Glue, {database}.{name}"):
            found: dict[str, Any] | None = self._or_none(lambda: self._glue.get_table(DatabaseName=database, Name=name)["Table"])
        return found

    @staticmethod
    def _or_none(ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except Exception as error:
            if error_code(error) == "EntityNotFoundException":
                return None
            raise

    def _properties(self, database: str) -> dict[str, str]:
        return dict((self._found_database(database) or {}).get("Parameters", {}))

    def _remember(self, database: str, key: str, digest: str) -> None:
        with told(f"Glue, {database}"):
            found = self._found_database(database) or {}
            kept = {name: found[name] for name in KEPT if name in found}
            parameters = self._properties(database) | {key: digest}
            self._glue.update_database(Name=database, DatabaseInput={**kept, "Name": database, "Parameters": parameters})

    def _named_queries(self, wanted: tuple[NamedQuery, ...]) -> Iterator[StatementOutcome]:
        with told("Athena, named queries"):
            known = self._known_queries()
        for query in wanted:
            asked = {"Name": query.title, "Description": query.text, "QueryString": query.saved}
            with told(f"Athena, named query {query.title}"):
                found = known.get(query.title)
                if found and found["Database"] != query.database:  # which can't be changed
                    self._named.delete_named_query(NamedQueryId=found["NamedQueryId"])
                if not found or found["Database"] != query.database:
                    self._named.create_named_query(**asked, Database=query.database, WorkGroup=self._workgroup)
                    done = Done.UPDATED if found else Done.CREATED
                elif any(found.get(name) != value for name, value in asked.items()):
                    self._named.update_named_query(NamedQueryId=found["NamedQueryId"], **asked)
                    done = Done.UPDATED
                else:
                    done = Done.UNCHANGED
            yield StatementOutcome("named query", query.title, done)

    def _known_queries(self) -> dict[str, dict[str, Any]]:
        """By name; of two with one name that with the smaller id, always."""
        ids: list[str] = []
        for page in self._named.get_paginator("list_named_queries").paginate(WorkGroup=self._workgroup):
            ids += page.get("NamedQueryIds", ())
        found: list[dict[str, Any]] = []
        for first in range(0, len(ids), BATCH):
            found += self._named.batch_get_named_query(NamedQueryIds=ids[first : first + BATCH])["NamedQueries"]
        return {query["Name"]: query for query in sorted(found, key=lambda query: str(query["NamedQueryId"]), reverse=True)}
