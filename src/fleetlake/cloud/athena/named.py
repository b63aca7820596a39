"""Named queries: those in queries/, and the maintenance of every table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from fleetlake.contracts.table import Table
from fleetlake.contracts.tables import RAW, all_tables
from fleetlake.foundation.errors import BadInput

HEADER = re.compile(r"^-- ?", re.MULTILINE)
PARAMETER = re.compile(r"^parameter (?P<name>\w+): (?P<said>.+?), such as (?P<example>.+)$")
NUMBER = re.compile(r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$")
TYPED = re.compile(r"^(?i:(date|time|timestamp|interval|decimal) )?'([^']|'')*'( (?i:day|hour|minute|second|month|year))?$")
WORDS = ("null", "true", "false")
VACUUM_SAID = (
    "Forgets snapshots of {name} older than its property vacuum_max_snapshot_age_seconds (5 days unless set), and deletes files "
    "that none of the others has. Safe beside the native ingest and the transform, whose offsets are table properties too. "
    "A table that the Spark ingest fills must have had a commit of it within that age, or its checkpoint has to be complete: it "
    "knows its last micro-batch by the snapshot. There is no time travel to what is forgotten. Run it again if it says "
    "MORE_RUNS_NEEDED."
)
OPTIMIZE_SAID = (
    "Writes the small files of {name} into fewer. Safe beside the ingest, which tries its commit again, and the transform, which "
    "reads no row twice. No row changes; old files stay until VACUUM. Run it again if it says MORE_RUNS_NEEDED."
)


@dataclass(frozen=True, slots=True)
class QueryParameter:
    """A value the query is given. example: as it is written on the command line."""

    name: str
    said: str
    example: str


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """One statement in Athena's dialect. Tables are `layer.kind`; names without a dot are views of `database`.

    A parameter is a ? of the statement, or {name} where Athena takes none: in FOR TIMESTAMP AS OF and FOR VERSION AS OF.
    """

    name: str
    description: str
    database: str
    sql: str
    parameters: tuple[QueryParameter, ...] = ()

    @property
    def title(self) -> str:
        """What it is called in Athena."""
        return f"fleetlake_{self.name}"

    @property
    def saved(self) -> str:
        """The statement Athena keeps, which can be run there as it is but for its ?: an example stands for each {name}."""
        return self._filled({parameter.name: literal(parameter.example) for parameter in self.parameters})

    def bound(self, values: Sequence[str]) -> tuple[str, tuple[str, ...]]:
        """The statement and the literals of its ?. BadInput if there are more or fewer values than parameters."""
        if len(values) != len(self.parameters):
            wanted = " ".join(f"--parameter {parameter.example}" for parameter in self.parameters)
            raise BadInput(
                f"{self.name} has {len(self.parameters)} parameters, {len(values)} are given",
                allowed=", ".join(f"{p.name}: {p.said}" for p in self.parameters),
                hint=f"fleetlake athena query --named {self.name} {wanted}".rstrip(),
            )
        given = {parameter.name: literal(value) for parameter, value in zip(self.parameters, values, strict=True)}
        return self._filled(given), tuple(value for name, value in given.items() if f"{{{name}}}" not in self.sql)

    def _filled(self, given: Mapping[str, str]) -> str:
        sql = self.sql
        for name, value in given.items():
            sql = sql.replace(f"{{{name}}}", value)
        return sql

    @property
    def text(self) -> str:
        """What Athena keeps as its description: 1,024 characters at most."""
        given = "".join(f" {i}. {p.name}: {p.said}, such as {p.example}." for i, p in enumerate(self.parameters, 1))
        return f"{self.description}{' Parameters:' + given if given else ''}"


def named_queries(database: str) -> tuple[NamedQuery, ...]:
    """Those written by hand, by name, then OPTIMIZE and VACUUM of every table in the order they are filled."""
    folder = files("fleetlake.cloud.athena") / "queries"
    texts = {entry.name.removesuffix(".sql"): entry.read_text("utf-8") for entry in folder.iterdir() if entry.name.endswith(".sql")}
    written = (_parsed(name, text, database) for name, text in sorted(texts.items()))
    return (*written, *(made for table in (*RAW, *all_tables()) for made in _maintenance(table, database)))


def named(name: str, database: str) -> NamedQuery:
    """BadInput if there is none of that name; the fleetlake_ of its title may be there."""
    known = {query.name: query for query in named_queries(database)}
    found = known.get(name.removeprefix("fleetlake_"))
    if found is None:
        written = [query for query in known if not query.startswith(("optimize_", "vacuum_"))]
        raise BadInput(
            f"there is no named query {name}", allowed=", ".join((*written, "optimize_<layer>_<table>", "vacuum_<layer>_<table>"))
        )
    return found


def literal(value: str) -> str:
    """A value as SQL: a number, a quoted text, DATE '...' and the like stay as they are, all else is taken for text."""
    if NUMBER.match(value) or TYPED.match(value) or value.lower() in WORDS:
        return value
    return "'" + value.replace("'", "''") + "'"


def _parsed(name: str, text: str, database: str) -> NamedQuery:
    """A file's header are comments: sentences, then a line for each parameter."""
    lines = text.strip().splitlines()
    header = [HEADER.sub("", line) for line in lines if line.startswith("--")]
    found = [PARAMETER.match(line) for line in header]
    parameters = tuple(QueryParameter(m["name"], m["said"], m["example"]) for m in found if m)
    said = " ".join(line for line, match in zip(header, found, strict=True) if not match)
    return NamedQuery(name, said, database, "\n".join(line for line in lines if not line.startswith("--")), parameters)


def _maintenance(table: Table, database: str) -> tuple[NamedQuery, NamedQuery]:
    # Neither statement takes quotes around the database; our names need none.
    below = f"{table.layer}_{table.kind}"
    return (
        NamedQuery(
            f"optimize_{below}",
            OPTIMIZE_SAID.format(name=table.name),
            database,
            f"OPTIMIZE {table.name} REWRITE DATA USING BIN_PACK",
        ),
        NamedQuery(f"vacuum_{below}", VACUUM_SAID.format(name=table.name), database, f"VACUUM {table.name}"),
    )
