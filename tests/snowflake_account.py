"""A Snowflake account that behaves as the documentation says: order, external ids, what AWS has to trust first.

Not a SQL engine: it knows the statements fleetlake makes, refuses what Snowflake would refuse, and refuses what it does not know.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fleetlake.cloud.snowflake.session import explain
from tests.trusting_role import ROLE_ARN, USER_ARN, AwsRole, Crash

Answer = list[Mapping[str, Any]]


class Refusal(Exception):
    """As the connector raises them."""

    def __init__(self, message: str, errno: int) -> None:
        super().__init__(message)
        self.raw_msg, self.errno = message, errno


@dataclass
class Account:
    """things: by kind and name. statements: all that were run, in order. sync_s: until a linked database knows Glue."""

    aws: AwsRole
    things: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    statements: list[str] = field(default_factory=list)
    roles: tuple[str, ...] = ("ACCOUNTADMIN", "SYSADMIN")
    privileges: Mapping[str, tuple[tuple[str, str, str], ...]] = field(default_factory=dict)
    sync_s: float = 30.0
    made: int = 0
    crash_at: int = -1
    crash_before: bool = False
    forbidden: frozenset[str] = frozenset()  # warehouses of others: seen, not used
    warehouse: str = ""  # in use
    behind: frozenset[str] = frozenset()  # columns that the tables lack

    def run(self, sql: str) -> Answer:
        """Crashes at call number crash_at, before or after it had its effect."""
        number = len(self.statements)
        self.statements.append(sql)
        if number == self.crash_at and self.crash_before:
            raise Crash
        try:
            answer = self._run(" ".join(sql.split()))
        except Refusal as error:
            raise explain(error, " ".join(sql.split()[:4])) from None
        if number == self.crash_at:
            raise Crash
        return answer

    @property
    def changing(self) -> list[str]:
        """The statements that change something."""
        return [sql for sql in self.statements if not re.match(r"(SHOW|DESC|SELECT|USE) ", sql)]

    def contents(self) -> dict[tuple[str, str], dict[str, Any]]:
        """All but when it was made."""
        return {key: {name: value for name, value in thing.items() if name != "made_at"} for key, thing in self.things.items()}

    def _run(self, sql: str) -> Answer:
        if sql.startswith("SELECT ") and not self.warehouse:
            raise Refusal("No active warehouse selected in the current session.", 606)
        for pattern, handle in RULES:
            if found := re.fullmatch(pattern, sql):
                return handle(self, sql, *found.groups()) or []
        raise Refusal(f"unknown statement: {sql}", 1003)

    def _need(self, kind: str, name: str) -> dict[str, Any]:
        if (kind, name) not in self.things:
            raise Refusal(f"{kind} '{name}' does not exist or not authorized.", 2003)
        return self.things[kind, name]

    def _add(self, kind: str, name: str, /, **properties: Any) -> None:
        self.made += 1
        self.things[kind, name] = properties | {"made_at": self.aws.clock.now}

    def _create(self, sql: str, replace: str | None, kind: str, unless: str | None, name: str, rest: str) -> None:
        if (kind, name) in self.things and not replace:
            if unless:
                return
            raise Refusal(f"Object '{name}' already exists.", 2002)
        getattr(self, f"_create_{kind.lower().replace(' ', '_')}")(name, rest)

    def _create_warehouse(self, name: str, rest: str) -> None:
        self._add("WAREHOUSE", name)

    def _create_role(self, name: str, rest: str) -> None:
        self._add("ROLE", name)

    def _create_schema(self, name: str, rest: str) -> None:
        self._need("DATABASE", name.split(".")[0])
        self._add("SCHEMA", name)

    def _create_database(self, name: str, rest: str) -> None:
        if "LINKED_CATALOG" not in rest:
            self._add("DATABASE", name)
            return
        integration = self._need("CATALOG INTEGRATION", _value(rest, "CATALOG"))
        if integration["source"] != "ICEBERG_REST":
            raise Refusal("Catalog-linked databases need a catalog integration of source ICEBERG_REST.", 2140)
        self._need("EXTERNAL VOLUME", _value(rest, "EXTERNAL_VOLUME"))
        self._add("DATABASE", name, linked=_value(rest, "CATALOG"), volume=_value(rest, "EXTERNAL_VOLUME"))

    def _create_external_volume(self, name: str, rest: str) -> None:
        location = {
            "NAME": _value(rest, "NAME"),
            "STORAGE_PROVIDER": "S3",
            "STORAGE_BASE_URL": _value(rest, "STORAGE_BASE_URL"),
            "STORAGE_ALLOWED_LOCATIONS": [_value(rest, "STORAGE_BASE_URL") + "*"],
            "STORAGE_AWS_ROLE_ARN": _value(rest, "STORAGE_AWS_ROLE_ARN"),
            "STORAGE_AWS_IAM_USER_ARN": USER_ARN,
            "STORAGE_AWS_EXTERNAL_ID": self._new_external_id(),
            "ENCRYPTION_TYPE": "NONE",
        }
        self._add(
            "EXTERNAL VOLUME",
            name,
            location=location,
            external_id=location["STORAGE_AWS_EXTERNAL_ID"],
            writes="ALLOW_WRITES = TRUE" in rest,
        )

    def _create_catalog_integration(self, name: str, rest: str) -> None:
        source, external_id = re.search(r"CATALOG_SOURCE = (\w+)", rest)[1], self._new_external_id()  # type: ignore[index]
        seconds = re.search(r"REFRESH_INTERVAL_SECONDS = (\d+)", rest)[1]  # type: ignore[index]
        shown = {"ENABLED": "true", "CATALOG_SOURCE": source, "TABLE_FORMAT": "ICEBERG", "REFRESH_INTERVAL_SECONDS": seconds}
        if source == "GLUE":
            shown |= {"GLUE_AWS_ROLE_ARN": _value(rest, "GLUE_AWS_ROLE_ARN"), "GLUE_CATALOG_ID": _value(rest, "GLUE_CATALOG_ID")}
            shown |= {"GLUE_AWS_IAM_USER_ARN": USER_ARN, "GLUE_AWS_EXTERNAL_ID": external_id}
        else:
            shown["REST_AUTHENTICATION"] = f"{{TYPE=SIGV4, SIGV4_IAM_ROLE={_value(rest, 'SIGV4_IAM_ROLE')}}}"
            shown |= {"API_AWS_IAM_USER_ARN": USER_ARN, "API_AWS_EXTERNAL_ID": external_id}
        self._add("CATALOG INTEGRATION", name, source=source, shown=shown, external_id=external_id)

    def _create_iceberg_table(self, name: str, rest: str) -> None:
        self._need("SCHEMA", name.rpartition(".")[0])
        if ("VIEW", name) in self.things:
            raise Refusal(f"Object '{name}' already exists as VIEW", 2002)
        for kind, option in (("EXTERNAL VOLUME", "EXTERNAL_VOLUME"), ("CATALOG INTEGRATION", "CATALOG")):
            used = self._need(kind, _value(rest, option))
            if not self.aws.lets_in(used["external_id"]):
                raise Refusal(
                    f"{USER_ARN} is not authorized to perform: sts:AssumeRole on {ROLE_ARN} ({used['external_id']})", 93101
                )
        table = f"{_value(rest, 'CATALOG_NAMESPACE')}.{_value(rest, 'CATALOG_TABLE_NAME')}"
        if table not in self.aws.glue:
            raise Refusal(f"Table {table} does not exist in the catalog", 93102)
        self._add("ICEBERG TABLE", name, table=table)

    def _create_view(self, name: str, rest: str) -> None:
        self._need("SCHEMA", name.rpartition(".")[0])
        if ("ICEBERG TABLE", name) in self.things:
            raise Refusal(f"Object '{name}' already exists as TABLE", 2002)
        select = rest.split("' AS ", 1)[1]
        if lacking := [column for column in self.behind if re.search(rf"\b{column}\b", select)]:
            raise Refusal(f"SQL compilation error: invalid identifier '{lacking[0]}'", 904)
        for database, schema, table in re.findall(r'(?:FROM|JOIN) (FLEETLAKE\w*)\."?(\w+)"?\."?(\w+)"?', select):
            known = self._tables_in(database) | {full for kind, full in self.things if kind == "VIEW"}
            if f"{database}.{schema}.{table}".upper() not in known:
                raise Refusal(f"Object '{database}.{schema}.{table}' does not exist or not authorized.", 2003)
        self._add("VIEW", name, comment=_value(rest, "COMMENT"), select=select)

    def _new_external_id(self) -> str:
        return f"ABC{self.made:05}_" + f"SFCRole={self.made}_" + "k3yOfThisObject="

    def _tables_in(self, database: str) -> set[str]:
        found = self._need("DATABASE", database)
        if "linked" not in found:
            return {name for kind, name in self.things if kind == "ICEBERG TABLE" and name.startswith(f"{database}.")}
        integration, volume = self.things["CATALOG INTEGRATION", found["linked"]], self.things["EXTERNAL VOLUME", found["volume"]]
        let_in = self.aws.lets_in(integration["external_id"]) and self.aws.lets_in(volume["external_id"])
        discovered = let_in and self.aws.clock.now >= found["made_at"] + self.sync_s
        return {f"{database}.{table}".upper() for table in self.aws.glue} if discovered else set()

    def _show(self, sql: str, plural: str, name: str) -> Answer:
        singular = plural.removesuffix("S")
        pattern = re.compile(re.escape(name).replace("_", "."))
        return [{"name": found} for kind, found in self.things if kind == singular and pattern.fullmatch(found)]

    def _show_in(self, sql: str, plural: str, database: str) -> Answer:
        self._need("DATABASE", database)
        linked = "linked" in self.things["DATABASE", database]
        if plural == "ICEBERG TABLES":
            names = self._tables_in(database)
        elif plural == "SCHEMAS" and linked:
            names = {name.rpartition(".")[0] for name in self._tables_in(database)}
        else:
            names = {name for kind, name in self.things if kind == plural.removesuffix("S") and name.startswith(f"{database}.")}
        if plural == "SCHEMAS":
            return [{"name": name.split(".")[1].lower() if linked else name.split(".")[1]} for name in sorted(names)]
        rows: Answer = []
        for name in sorted(names):
            _, schema, kind = name.split(".")
            shown = {"name": kind.lower(), "schema_name": schema.lower()} if linked else {"name": kind, "schema_name": schema}
            rows.append(shown | {"comment": self.things.get(("VIEW", name), {}).get("comment", "")})
        return rows

    def _show_grants_to(self, sql: str, role: str) -> Answer:
        own = [{"privilege": p, "granted_on": on, "name": name} for p, on, name in self.privileges.get(role, ())]
        given = [thing for (kind, _), thing in self.things.items() if kind == "GRANT" and thing["role"] == role and thing["on"]]
        return [*own, *({"privilege": t["privilege"], "granted_on": t["on"].replace(" ", "_"), "name": t["name"]} for t in given)]

    def _show_grants_of(self, sql: str, role: str) -> Answer:
        given = [thing for (kind, _), thing in self.things.items() if kind == "GRANT" and not thing["on"] and thing["name"] == role]
        return [{"granted_to": "ROLE", "grantee_name": thing["role"]} for thing in given]

    def _grant(self, sql: str, privilege: str, on: str, name: str, role: str) -> None:
        self._need("ROLE", role)
        plain = name.replace('"', "").upper()
        database = plain.split(".")[0]
        if on in ("WAREHOUSE", "DATABASE", "VIEW"):
            self._need(on, plain)
        elif on == "ICEBERG TABLE" and plain not in self._tables_in(database):
            raise Refusal(f"Table '{name}' does not exist or not authorized.", 2003)
        self._add("GRANT", sql, privilege=privilege, on=on, name=name, role=role)

    def _grant_role(self, sql: str, name: str, role: str) -> None:
        self._need("ROLE", name)
        self._add("GRANT", sql, privilege="USAGE", on="", name=name, role=role)

    def _desc_volume(self, sql: str, name: str) -> Answer:
        location = self._need("EXTERNAL VOLUME", name)["location"]
        return [
            {"parent_property": "", "property": "ALLOW_WRITES", "property_type": "Boolean", "property_value": "false"},
            {"parent_property": "STORAGE_LOCATIONS", "property": "STORAGE_LOCATION_1", "property_type": "String",
             "property_value": json.dumps(location)},
            {"parent_property": "STORAGE_LOCATIONS", "property": "ACTIVE", "property_type": "String", "property_value": "lake"},
        ]  # fmt: skip

    def _desc_integration(self, sql: str, name: str) -> Answer:
        shown = self._need("CATALOG INTEGRATION", name)["shown"]
        return [{"property": key, "property_type": "String", "property_value": value} for key, value in shown.items()]

    def _alter_interval(self, sql: str, name: str, seconds: str) -> None:
        self._need("CATALOG INTEGRATION", name)["shown"]["REFRESH_INTERVAL_SECONDS"] = seconds

    def _verify_volume(self, sql: str, name: str) -> Answer:
        volume = self._need("EXTERNAL VOLUME", name)
        lets_in = self.aws.lets_in(volume["external_id"])
        reason = f"FAILED with exception message {USER_ARN} is not authorized to perform: sts:AssumeRole, {volume['external_id']}"
        skipped = dict.fromkeys(("writeResult", "readResult", "listResult", "deleteResult"), "SKIPPED")
        found = {"success": lets_in, "storageLocationSelectionResult": "PASSED", "storageLocationName": "lake"}
        return [{"verify": json.dumps(found | skipped | {"awsRoleArnValidationResult": "PASSED" if lets_in else reason})}]

    def _verify_integration(self, sql: str, name: str) -> Answer:
        integration = self._need("CATALOG INTEGRATION", name)
        if integration["source"] != "ICEBERG_REST":
            raise Refusal("SYSTEM$VERIFY_CATALOG_INTEGRATION is for REST integrations", 1003)
        if self.aws.lets_in(integration["external_id"]):
            return [{"verify": json.dumps({"success": True, "errorCode": "", "errorMessage": ""})}]
        message = f"Failed to access the REST endpoint: {USER_ARN} may not assume {ROLE_ARN} with {integration['external_id']}"
        return [{"verify": json.dumps({"success": False, "errorCode": "004140", "errorMessage": message})}]

    def _link_status(self, sql: str, name: str) -> Answer:
        self._need("DATABASE", name)
        return [{"status": json.dumps({"executionState": "RUNNING", "failureDetails": []})}]

    def _use(self, sql: str, kind: str, name: str) -> None:
        if name in self.forbidden or ((kind, name) not in self.things and not (kind == "ROLE" and name in self.roles)):
            raise Refusal(f"Requested {kind.lower()} '{name}' is not assigned to the executing user.", 3013)
        if kind == "WAREHOUSE":
            self.warehouse = name


def _value(text: str, option: str) -> str:
    found = re.search(rf"\b{option} = '((?:[^']|'')*)'", text)
    if found is None:
        raise Refusal(f"missing option {option}", 1003)
    return found[1].replace("''", "'")


CREATABLE = "WAREHOUSE|DATABASE|SCHEMA|EXTERNAL VOLUME|CATALOG INTEGRATION|ICEBERG TABLE|VIEW|ROLE"
Handler = Callable[..., Answer | None]
RULES: tuple[tuple[str, Handler], ...] = (
    (rf"CREATE (OR REPLACE )?({CREATABLE}) (IF NOT EXISTS )?([\w.]+) ?(.*)", Account._create),
    (r"GRANT ROLE (\w+) TO ROLE (\w+)", Account._grant_role),
    (r"GRANT (\w+) ON (WAREHOUSE|DATABASE|SCHEMA|ICEBERG TABLE|VIEW) ([\w.\"]+) TO ROLE (\w+)", Account._grant),
    (r"SHOW (WAREHOUSES|DATABASES|EXTERNAL VOLUMES|CATALOG INTEGRATIONS|ROLES) LIKE '(\w+)'", Account._show),
    (r"SHOW (SCHEMAS|ICEBERG TABLES|VIEWS) IN DATABASE (\w+)", Account._show_in),
    (r"SHOW GRANTS TO ROLE (\w+)", Account._show_grants_to),
    (r"SHOW GRANTS OF ROLE (\w+)", Account._show_grants_of),
    (r"DESC EXTERNAL VOLUME (\w+)", Account._desc_volume),
    (r"DESC CATALOG INTEGRATION (\w+)", Account._desc_integration),
    (r"ALTER CATALOG INTEGRATION (\w+) SET REFRESH_INTERVAL_SECONDS = (\d+)", Account._alter_interval),
    (r"SELECT SYSTEM\$VERIFY_EXTERNAL_VOLUME\('(\w+)'\)", Account._verify_volume),
    (r"SELECT SYSTEM\$VERIFY_CATALOG_INTEGRATION\('(\w+)'\)", Account._verify_integration),
    (r"SELECT SYSTEM\$CATALOG_LINK_STATUS\('(\w+)'\)", Account._link_status),
    (r"USE (ROLE|WAREHOUSE) (\w+)", Account._use),
)  # fmt: skip
