"""What is to stand where in Snowflake: names, and what of AWS they are made over."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace

from fleetlake.contracts.tables import Table, all_tables
from fleetlake.foundation.errors import BadInput

IDENTIFIER = re.compile(r"^[A-Za-z_][A-Za-z0-9_]{0,200}$")
LISTED, LINKED = "listed", "linked"
WAREHOUSE_FOLDER = "warehouse"  # below the bucket, where the lake's tables are
ANALYTICS = "ANALYTICS"  # the schema of the analysts' views
LAYERS = ("bronze", "silver", "gold")
READABLE_LAYERS = ("silver", "gold")  # what analysts may select from; bronze only through the quarantine view


@dataclass(frozen=True, slots=True)
class Target:
    """Names are Snowflake's, unquoted, so in upper case. tables: listed or linked.

    stack: the AWS stack; volume and integrations are named after it, as its role trusts one of each, so databases share them.
    role_arn: the AWS role that Snowflake takes. account: whose Glue catalog it is. refresh_s: s between looks for new snapshots.
    """

    database: str
    warehouse: str
    admin_role: str
    analyst_role: str
    tables: str
    refresh_s: int
    stack: str
    region: str
    account: str
    bucket: str
    role_arn: str

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name not in ("database", "warehouse", "admin_role", "analyst_role"):
                continue
            name = getattr(self, field.name)
            if not IDENTIFIER.match(name):
                raise BadInput(
                    f"{name!r} is no name for Snowflake",
                    where=f"snowflake.{field.name}",
                    allowed="letters, digits and _, not beginning with a digit",
                )
            object.__setattr__(self, field.name, name.upper())
        if self.tables not in (LISTED, LINKED):
            raise BadInput(f"there is no mode {self.tables!r}", where="snowflake.tables", allowed=f"{LISTED}, {LINKED}")

    @property
    def volume(self) -> str:
        return f"{self._prefix}_VOLUME"

    @property
    def glue_integration(self) -> str:
        return f"{self._prefix}_GLUE"

    @property
    def rest_integration(self) -> str:
        return f"{self._prefix}_GLUE_REST"

    @property
    def integration(self) -> str:
        """The one of this mode: a linked database needs the REST endpoint."""
        return self.glue_integration if self.tables == LISTED else self.rest_integration

    @property
    def linked_database(self) -> str:
        return f"{self.database}_LAKE"

    @property
    def _prefix(self) -> str:
        return self.stack.upper().replace("-", "_")  # a stack's name has letters, digits and hyphens, and begins with a letter

    @property
    def base_url(self) -> str:
        return f"s3://{self.bucket}/{WAREHOUSE_FOLDER}/"

    def name_of(self, table: str) -> str:
        """What analysts call the lake's table `layer.kind`, the same in both modes."""
        return f"{self.database}.{table.upper()}"

    def in_mode(self, tables: str) -> Target:
        return replace(self, tables=tables)


def lake_tables() -> tuple[Table, ...]:
    """Bronze too: the quarantine view reads it."""
    return all_tables()


PLACEHOLDERS = Target(
    database="FLEETLAKE", warehouse="FLEETLAKE_WH", admin_role="ACCOUNTADMIN", analyst_role="FLEETLAKE_ANALYST",
    tables=LISTED, refresh_s=60, stack="fleetlake", region="<region>", account="<account>", bucket="<bucket>",
    role_arn="<role-arn>",
)  # fmt: skip
