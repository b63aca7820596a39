"""What has to be there for Athena, in order: tables over the landing, views, named queries. Pure; nothing is asked of AWS."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum

from fleetlake.cloud.athena.landing import json_table, parquet_table
from fleetlake.cloud.athena.named import NamedQuery, named_queries
from fleetlake.cloud.athena.naming import trino_name, trino_table
from fleetlake.cloud.views import View, in_dialect, views
from fleetlake.contracts.columns import Type
from fleetlake.contracts.events import EVENTS

DIGEST = "fleetlake.digest"  # table property: which statement made it
NO_BUCKET = "<bucket>"
ON_S3 = re.compile(r"^s3[an]?://")


class AthenaObjectKind(StrEnum):
    TABLE = "table"
    VIEW = "view"


@dataclass(frozen=True, slots=True)
class AthenaTarget:
    """database: of Glue, for tables and views. landing: s3:// folder above the topics, without a slash at its end."""

    database: str
    landing: str


@dataclass(frozen=True, slots=True)
class AthenaStatement:
    """One statement of Athena's. name: what it makes, in the target's database. reads: tables that must be there before it."""

    kind: AthenaObjectKind
    name: str
    sql: str
    reads: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()[:16]

    @property
    def signed(self) -> str:
        """The statement that is run. A table keeps the digest of its statement, so that a later run knows what made it."""
        if self.kind is AthenaObjectKind.VIEW:
            return self.sql
        if "\nTBLPROPERTIES (\n" in self.sql:
            return self.sql.replace("\nTBLPROPERTIES (\n", f"\nTBLPROPERTIES (\n  '{DIGEST}'='{self.digest}',\n")
        return f"{self.sql}\nTBLPROPERTIES ('{DIGEST}'='{self.digest}')"


@dataclass(frozen=True, slots=True)
class AthenaPlan:
    """Statements in the order they are run in; then named queries."""

    target: AthenaTarget
    statements: tuple[AthenaStatement, ...]
    named: tuple[NamedQuery, ...]


def target_of(database: str, bucket: str, landing: str | None) -> AthenaTarget:
    """bucket: empty if its name is not known yet. landing: a folder of its own, used if it is on S3."""
    if landing and ON_S3.match(landing):
        return AthenaTarget(database, ON_S3.sub("s3://", landing).rstrip("/"))
    return AthenaTarget(database, f"s3://{bucket or NO_BUCKET}/landing")


def plan_for(target: AthenaTarget) -> AthenaPlan:
    tables = [
        AthenaStatement(AthenaObjectKind.TABLE, f"{prefix}_{event.kind}", ddl(target.database, target.landing, event))
        for prefix, ddl in (("landing", parquet_table), ("landing_json", json_table))
        for event in EVENTS
    ]
    made = [
        AthenaStatement(AthenaObjectKind.VIEW, view.name, view_statement(target.database, view), view.reads) for view in views()
    ]
    return AthenaPlan(target, (*tables, *made), named_queries(target.database))


def view_statement(database: str, view: View) -> str:
    return f"CREATE OR REPLACE VIEW {trino_table(f'{database}.{view.name}')} AS\n{view_select(view)}"


def view_select(view: View) -> str:
    """The view's SELECT on Athena. A view there can't have times with a zone; they become UTC without one."""
    columns = (
        f"CAST({trino_name(name)} AT TIME ZONE 'UTC' AS timestamp(6)) AS {trino_name(name)}"
        if type_ is Type.TIMESTAMP
        else trino_name(name)
        for name, type_ in view.columns
    )
    inner = in_dialect(view.sql, "athena", trino_table)
    return "SELECT\n  " + ",\n  ".join(columns) + "\nFROM (\n" + "\n".join(f"  {line}" for line in inner.splitlines()) + "\n)"
