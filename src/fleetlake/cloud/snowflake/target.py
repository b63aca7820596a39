"""What is to stand where in Snowflake: names, and what of AWS they are made over."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fleetlake.cloud.snowflake.names import IDENTIFIER, require_name, require_own_role
from fleetlake.contracts.table import Table
from fleetlake.contracts.tables import all_tables
from fleetlake.foundation.errors import BadInput

LISTED, LINKED = "listed", "linked"
WAREHOUSE_FOLDER = "warehouse"  # below the bucket, where the lake's tables are
ANALYTICS = "ANALYTICS"  # the schema of the analysts' views
LAYERS = ("bronze", "silver", "gold")
READABLE_LAYERS = ("silver", "gold")  # what analysts may select from; bronze only through the quarantine view


@dataclass(frozen=True, slots=True)
class SnowflakeTarget:
    """Names are Snowflake's, unquoted, so in upper case. tables: listed or linked.

    stack: the AWS stack; volume and integrations are named after it, as its role trusts one of each, so databases share them.
    role_arn: the AWS role that Snowflake takes. account: whose Glue catalog it is. refresh_s: s between looks for new snapshots.
    location: s3://.../ that the tables are below; empty: WAREHOUSE_FOLDER of the bucket.
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
    location: str = ""

    def __post_init__(self) -> None:
        for field in ("database", "warehouse", "admin_role", "analyst_role"):
            name = getattr(self, field)
            require_name(name, f"snowflake.{field}")
            object.__setattr__(self, field, name.upper())
        require_own_role(self.analyst_role, "snowflake.analyst_role")
        if self.analyst_role == self.admin_role:
            raise BadInput("analysts would have the role that makes everything", where="snowflake.analyst_role")
        if self.tables not in (LISTED, LINKED):
            raise BadInput(f"there is no mode {self.tables!r}", where="snowflake.tables", allowed=f"{LISTED}, {LINKED}")
        if not IDENTIFIER.fullmatch(self._prefix):  # volume and integrations begin with it
            raise BadInput(f"{self.stack!r} is no name for Snowflake", where="aws.stack", allowed="letters, digits and hyphens")

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
        return self.stack.upper().replace("-", "_")

    @property
    def base_url(self) -> str:
        return self.location or f"s3://{self.bucket}/{WAREHOUSE_FOLDER}/"

    def name_of(self, table: str) -> str:
        """What analysts call the lake's table `layer.kind`, the same in both modes."""
        return f"{self.database}.{table.upper()}"

    def in_mode(self, tables: str) -> SnowflakeTarget:
        return replace(self, tables=tables)


def lake_tables() -> tuple[Table, ...]:
    """Bronze too: the quarantine view reads it."""
    return all_tables()


PLACEHOLDERS = SnowflakeTarget(
    database="FLEETLAKE", warehouse="FLEETLAKE_WH", admin_role="ACCOUNTADMIN", analyst_role="FLEETLAKE_ANALYST",
    tables=LISTED, refresh_s=60, stack="fleetlake", region="<region>", account="<account>", bucket="<bucket>",
    role_arn="<role-arn>",
)  # fmt: skip
