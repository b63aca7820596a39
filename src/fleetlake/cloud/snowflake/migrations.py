"""The numbered migrations, derived from the contracts: the same names for analysts whether tables are listed or linked."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from fleetlake.cloud.snowflake.statements import (
    Migration,
    SnowflakeObjectKind,
    SnowflakeStatement,
    Thing,
    fingerprint_of,
    grant,
    literal,
)
from fleetlake.cloud.snowflake.target import ANALYTICS, LAYERS, LISTED, READABLE_LAYERS, SnowflakeTarget, lake_tables
from fleetlake.cloud.views import View, in_dialect, views
from fleetlake.contracts.table import Table

NO_REPLACE = "Never OR REPLACE here: a new object has a new external id, and AWS trusts the old one."


def migrations(target: SnowflakeTarget) -> tuple[Migration, ...]:
    """All statements in the order they are run."""
    layers = _listed(target) if target.tables == LISTED else _linked(target)
    first = (
        Migration(1, "warehouse_and_database", "The warehouse, the database and its schemas.", 1, tuple(_base(target))),
        Migration(2, "external_volume", f"Reads the lake's files, and only reads. {NO_REPLACE}", 1, (_volume(target),)),
        Migration(3, "catalog_integration", f"Reads the Glue catalog. {NO_REPLACE}", 1, (_integration(target),)),
    )
    last = (("views", "Views for analysts.", tuple(_views(target))), ("roles_and_grants", "Who may read.", tuple(_grants(target))))
    second = (
        Migration(number, title, note, 2, statements)
        for number, (title, note, statements) in enumerate((*layers, *last), len(first) + 1)
    )
    return (*first, *second)


def table_thing(target: SnowflakeTarget, table: str) -> Thing:
    """The Iceberg table of the lake's `layer.kind`: in the database itself if listed, else in the linked one."""
    database = target.database if target.tables == LISTED else target.linked_database
    return Thing(SnowflakeObjectKind.TABLE, f"{database}.{table.upper()}")


def readable_thing(target: SnowflakeTarget, table: str) -> Thing:
    """What analysts and views read the lake's `layer.kind` by."""
    return Thing(SnowflakeObjectKind.TABLE if target.tables == LISTED else SnowflakeObjectKind.VIEW, target.name_of(table))


def linked_name(target: SnowflakeTarget, table: str) -> str:
    """A table in the linked database. Glue's names are in lower case, and quoted ones are right whatever the case sensitivity."""
    layer, kind = table.split(".")
    return f'{target.linked_database}."{layer}"."{kind}"'


def _base(target: SnowflakeTarget) -> Iterator[SnowflakeStatement]:
    database = Thing(SnowflakeObjectKind.DATABASE, target.database)
    yield SnowflakeStatement(
        Thing(SnowflakeObjectKind.WAREHOUSE, target.warehouse),
        f"CREATE WAREHOUSE IF NOT EXISTS {target.warehouse}\n  WAREHOUSE_SIZE = XSMALL\n  AUTO_SUSPEND = 60\n  AUTO_RESUME = TRUE\n"
        "  INITIALLY_SUSPENDED = TRUE",
    )
    yield SnowflakeStatement(
        database, f"CREATE DATABASE IF NOT EXISTS {target.database}\n  COMMENT = 'The telematics lake of fleetlake'"
    )
    for schema in (*(layer.upper() for layer in LAYERS), ANALYTICS):
        name = f"{target.database}.{schema}"
        yield SnowflakeStatement(Thing(SnowflakeObjectKind.SCHEMA, name), f"CREATE SCHEMA IF NOT EXISTS {name}", (database,))


def _volume(target: SnowflakeTarget) -> SnowflakeStatement:
    return SnowflakeStatement(
        Thing(SnowflakeObjectKind.VOLUME, target.volume),
        f"CREATE EXTERNAL VOLUME IF NOT EXISTS {target.volume}\n"
        "  STORAGE_LOCATIONS = (\n"
        "    (\n"
        "      NAME = 'lake'\n"
        "      STORAGE_PROVIDER = 'S3'\n"
        f"      STORAGE_BASE_URL = {literal(target.base_url)}\n"
        f"      STORAGE_AWS_ROLE_ARN = {literal(target.role_arn)}\n"
        "    )\n"
        "  )\n"
        "  ALLOW_WRITES = FALSE",
    )


def _integration(target: SnowflakeTarget) -> SnowflakeStatement:
    refresh = f"  ENABLED = TRUE\n  REFRESH_INTERVAL_SECONDS = {target.refresh_s}"
    if target.tables == LISTED:
        source = (
            "  CATALOG_SOURCE = GLUE\n"
            "  TABLE_FORMAT = ICEBERG\n"
            f"  GLUE_AWS_ROLE_ARN = {literal(target.role_arn)}\n"
            f"  GLUE_CATALOG_ID = {literal(target.account)}\n"
            f"  GLUE_REGION = {literal(target.region)}\n"
        )
    else:
        source = (
            "  CATALOG_SOURCE = ICEBERG_REST\n"
            "  TABLE_FORMAT = ICEBERG\n"
            "  REST_CONFIG = (\n"
            f"    CATALOG_URI = {literal(f'https://glue.{target.region}.amazonaws.com/iceberg')}\n"
            "    CATALOG_API_TYPE = AWS_GLUE\n"
            f"    CATALOG_NAME = {literal(target.account)}\n"
            "  )\n"
            "  REST_AUTHENTICATION = (\n"
            "    TYPE = SIGV4\n"
            f"    SIGV4_IAM_ROLE = {literal(target.role_arn)}\n"
            f"    SIGV4_SIGNING_REGION = {literal(target.region)}\n"
            "  )\n"
        )
    create = f"CREATE CATALOG INTEGRATION IF NOT EXISTS {target.integration}\n"
    return SnowflakeStatement(Thing(SnowflakeObjectKind.INTEGRATION, target.integration), create + source + refresh)


def _listed(target: SnowflakeTarget) -> Iterator[tuple[str, str, tuple[SnowflakeStatement, ...]]]:
    needs = (Thing(SnowflakeObjectKind.VOLUME, target.volume), Thing(SnowflakeObjectKind.INTEGRATION, target.integration))
    for layer in LAYERS:
        tables = [table for table in lake_tables() if table.layer == layer]
        made = tuple(_iceberg_table(target, table, needs) for table in tables)
        yield f"{layer}_tables", f"The {layer} tables, each followed through Glue.", made


def _iceberg_table(target: SnowflakeTarget, table: Table, needs: tuple[Thing, ...]) -> SnowflakeStatement:
    return SnowflakeStatement(
        table_thing(target, table.name),
        f"CREATE ICEBERG TABLE IF NOT EXISTS {target.name_of(table.name)}\n"
        f"  EXTERNAL_VOLUME = {literal(target.volume)}\n"
        f"  CATALOG = {literal(target.integration)}\n"
        f"  CATALOG_TABLE_NAME = {literal(table.kind)}\n"
        f"  CATALOG_NAMESPACE = {literal(table.layer)}\n"
        "  AUTO_REFRESH = TRUE\n"
        f"  COMMENT = {literal(table.description)}",
        needs,
        in_glue=table.name,
    )


def _linked(target: SnowflakeTarget) -> Iterator[tuple[str, str, tuple[SnowflakeStatement, ...]]]:
    namespaces = ", ".join(literal(layer) for layer in LAYERS)
    linked = SnowflakeStatement(
        Thing(SnowflakeObjectKind.DATABASE, target.linked_database),
        f"CREATE DATABASE {target.linked_database}\n"
        "  LINKED_CATALOG = (\n"
        f"    CATALOG = {literal(target.integration)},\n"
        f"    ALLOWED_NAMESPACES = ({namespaces}),\n"
        "    ALLOWED_WRITE_OPERATIONS = NONE,\n"
        f"    SYNC_INTERVAL_SECONDS = {target.refresh_s}\n"
        "  )\n"
        f"  EXTERNAL_VOLUME = {literal(target.volume)}\n"
        "  CATALOG_CASE_SENSITIVITY = CASE_INSENSITIVE",
        (Thing(SnowflakeObjectKind.VOLUME, target.volume), Thing(SnowflakeObjectKind.INTEGRATION, target.integration)),
    )
    note = "One database that follows Glue: its schemas and tables appear by themselves. Nothing can be written through it."
    yield "linked_database", note, (linked,)
    made = tuple(_table_view(target, table) for table in lake_tables())
    yield "table_views", "A view over each linked table, so that names and case are the same as with listed tables.", made


def _table_view(target: SnowflakeTarget, table: Table) -> SnowflakeStatement:
    columns = ",\n".join(f'  "{column.name}" AS {column.name.upper()}' for column in table.columns)
    select = f"SELECT\n{columns}\nFROM {linked_name(target, table.name)}"
    source = table_thing(target, table.name)
    return _view(target.name_of(table.name), table.description, select, (source,), in_glue=table.name)


def _views(target: SnowflakeTarget) -> Iterator[SnowflakeStatement]:
    for view in views():
        yield analyst_view(target, view)


def analyst_view(target: SnowflakeTarget, view: View) -> SnowflakeStatement:
    select = _in_snowflake(view.sql, target.in_mode(LISTED))  # the same in both modes
    needs = tuple(readable_thing(target, table) for table in view.reads)
    return _view(f"{target.database}.{ANALYTICS}.{view.name.upper()}", view.description, select, needs)


@cache
def _in_snowflake(sql: str, target: SnowflakeTarget) -> str:
    return in_dialect(sql, "snowflake", target.name_of)


def _view(name: str, description: str, select: str, needs: tuple[Thing, ...], in_glue: str = "") -> SnowflakeStatement:
    """The fingerprint is in the comment, so that what SHOW VIEWS says tells whether the view is the one meant here."""
    mark = fingerprint_of(f"{name}\n{description}\n{select}")
    comment = literal(f"{description} [fleetlake {mark}]")
    sql = f"CREATE OR REPLACE VIEW {name}\n  COPY GRANTS\n  COMMENT = {comment}\nAS\n{select}"
    return SnowflakeStatement(Thing(SnowflakeObjectKind.VIEW, name), sql, needs, in_glue=in_glue, fingerprint=mark)


def _grants(target: SnowflakeTarget) -> Iterator[SnowflakeStatement]:
    role = Thing(SnowflakeObjectKind.ROLE, target.analyst_role)
    name = target.analyst_role
    yield SnowflakeStatement(role, f"CREATE ROLE IF NOT EXISTS {name}\n  COMMENT = 'May read the lake of fleetlake'")
    yield SnowflakeStatement(
        Thing(SnowflakeObjectKind.GRANT, f"ROLE {name} TO ROLE SYSADMIN"), f"GRANT ROLE {name} TO ROLE SYSADMIN", (role,)
    )
    yield grant("USAGE", "WAREHOUSE", target.warehouse, name, role)
    yield grant("USAGE", "DATABASE", target.database, name, role)
    for schema in (*(layer.upper() for layer in READABLE_LAYERS), ANALYTICS):
        yield grant("USAGE", "SCHEMA", f"{target.database}.{schema}", name, role)
    readable = [table.name for table in lake_tables() if table.layer in READABLE_LAYERS]
    for table in readable:
        thing = readable_thing(target, table)
        yield grant("SELECT", "ICEBERG TABLE" if thing.kind is SnowflakeObjectKind.TABLE else "VIEW", thing.name, name, role, thing)
    for view in views():
        thing = Thing(SnowflakeObjectKind.VIEW, f"{target.database}.{ANALYTICS}.{view.name.upper()}")
        yield grant("SELECT", "VIEW", thing.name, name, role, thing)
    if target.tables != LISTED:
        yield from _grants_on_linked(target, role, readable)


def _grants_on_linked(target: SnowflakeTarget, role: Thing, readable: list[str]) -> Iterator[SnowflakeStatement]:
    """Time travel is asked of a table, not of the view over it."""
    name, database = target.analyst_role, Thing(SnowflakeObjectKind.DATABASE, target.linked_database)
    yield grant("USAGE", "DATABASE", target.linked_database, name, role, database)
    for layer in READABLE_LAYERS:
        schema = Thing(SnowflakeObjectKind.SCHEMA, f"{target.linked_database}.{layer.upper()}")
        yield grant("USAGE", "SCHEMA", f'{target.linked_database}."{layer}"', name, role, schema)
    for table in readable:
        yield grant("SELECT", "ICEBERG TABLE", linked_name(target, table), name, role, table_thing(target, table))
