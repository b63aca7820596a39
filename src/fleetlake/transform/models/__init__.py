"""The SQL models, found by their place: `<layer>/<kind>.sql` makes the table `<layer>.<kind>` of the contracts.

They are written in DuckDB's dialect, of window functions and little else, so that they translate to Spark's; what does not is in
macros.sql. Settings appear as `$name`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from fleetlake.contracts.table import Table
from fleetlake.transform.settings import Thresholds

SETTING = re.compile(r"\$(\w+)")
FOLDERS: tuple[Traversable, ...] = (resources.files(__package__),)
RELATION = re.compile(r"\b(?:FROM|JOIN)\s+([\w.]+)")


@dataclass(frozen=True, slots=True)
class Model:
    """A SELECT and the values of the settings it names."""

    sql: str
    settings: dict[str, float]

    @property
    def relations(self) -> frozenset[str]:
        """What follows a FROM or JOIN: tables, reference relations, and the statement's own."""
        return frozenset(RELATION.findall(self.sql))

    @property
    def digest(self) -> str:
        """Changes with the statement and with the settings it names, and with nothing else."""
        return hashlib.sha256(f"{self.sql}\n{sorted(self.settings.items())}".encode()).hexdigest()[:16]


def table_model(table: Table, thresholds: Thresholds) -> Model:
    """What computes a silver or gold table. The kinds of silver without a file of their own share silver/event.sql."""
    sql = _text(table.layer, f"{table.kind}.sql") or _text(table.layer, "event.sql")
    if sql is None:
        raise LookupError(f"no model makes {table.name}")
    columns = ", ".join(f"arrived.{column.name}" for column in table.columns if column.name not in ("is_late", "late_by_s"))
    return _model(sql.replace("{columns}", columns), thresholds)


def seams_model(table: Table, thresholds: Thresholds) -> Model:
    """What finds the instants at which a device's rows can be cut without changing the table (windows.py)."""
    return _required(table.layer, f"{table.kind}.seams.sql", thresholds)


def relation_model(layer: str, name: str, thresholds: Thresholds) -> Model:
    """A relation that the models of a layer are computed from, and that no table holds."""
    return _required(layer, f"{name}.sql", thresholds)


def macros() -> str:
    """Statements that define what the models call; run once a connection."""
    return _required("", "macros.sql", Thresholds()).sql


def _required(layer: str, name: str, thresholds: Thresholds) -> Model:
    sql = _text(layer, name)
    if sql is None:
        raise LookupError(f"no model {layer}/{name}")
    return _model(sql, thresholds)


def _model(sql: str, thresholds: Thresholds) -> Model:
    return Model(sql, {name: value for name, value in asdict(thresholds).items() if name in set(SETTING.findall(sql))})


def _text(layer: str, name: str) -> str | None:
    for folder in FOLDERS:
        file = folder.joinpath(layer, name)
        if file.is_file():
            return file.read_text(encoding="utf-8")
    return None
