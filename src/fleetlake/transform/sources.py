"""What a derived table is made of: tables as they were loaded, and the relation of theirs that its model reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pyiceberg.manifest import DataFile
from pyiceberg.table import Table as IcebergTable

from fleetlake.contracts.positions import POSITIONS
from fleetlake.contracts.table import Table
from fleetlake.lake.catalog import Lake
from fleetlake.lake.partitions import days_of
from fleetlake.lake.scan import added_files
from fleetlake.transform.bounds import EPOCH
from fleetlake.transform.engine import TransformEngine
from fleetlake.transform.marker import ReadTable, source_now
from fleetlake.transform.models import Model, relation_model
from fleetlake.transform.references import References
from fleetlake.transform.settings import Thresholds


class Sources:
    """Tables by name, each loaded once: all reads of a run see the same snapshots."""

    def __init__(self, lake: Lake, names: Iterable[str]) -> None:
        self._tables = {name: lake.table(name) for name in names}

    def __getitem__(self, name: str) -> IcebergTable:
        return self._tables[name]

    def now(self) -> dict[str, ReadTable]:
        return {name: source_now(table) for name, table in self._tables.items()}

    def are_empty(self) -> bool:
        return not any(True for table in self._tables.values() for _ in table.scan().plan_files())

    def added(self, name: str, after_sequence: int) -> list[DataFile]:
        """Data files with new rows: one that was written in the place of others has the sequence number of theirs."""
        return added_files(self._tables[name], after_sequence)

    def span(self) -> tuple[datetime, datetime]:
        """From the first day of any of the tables to the end of the last."""
        files = ((table, task.file) for table in self._tables.values() for task in table.scan().plan_files())
        days = [day for table, file in files for day in days_of(table, file) or ()] or [0]
        return EPOCH + timedelta(days=min(days)), EPOCH + timedelta(days=max(days) + 1)


@dataclass(frozen=True, slots=True)
class Material:
    """The relation that a model of episodes or readings is computed from, stretch by stretch.

    name: it has device_id and event_time. tables: what it is a SELECT of. beside: tables of the same devices that the model reads
    too, and for how long (s) a row of them may matter. views: relations defined on it.
    """

    name: str
    model: Model
    tables: tuple[str, ...]
    beside: Mapping[str, float]
    views: Mapping[str, Model]

    def holds_s(self, table: str) -> float:
        return self.beside.get(table, 0.0)

    def define_views(self, engine: TransformEngine) -> None:
        for name, model in self.views.items():
            engine.define(name, model.sql, model.settings)


def material_of(table: Table, thresholds: Thresholds) -> Material:
    """Of silver.positions, readings; of everything else, positions with the view `fixes` of the good ones."""
    if table is POSITIONS:
        beside = {"silver.weather": thresholds.weather_age_s, "silver.emergency": thresholds.incident_age_s}
        return Material("readings", relation_model("silver", "readings", thresholds), table.reads[:2], beside, {})
    model, fixes = relation_model("gold", "positions", thresholds), relation_model("gold", "fixes", thresholds)
    return Material("positions", model, (POSITIONS.name,), {}, {"fixes": fixes})


def load_references(engine: TransformEngine, model: Model, references: References) -> None:
    """Makes the reference relations that a model names."""
    for name in model.relations & references.tables.keys():
        engine.load(name, references.tables[name])
