"""Silver to silver.positions and gold: the rows that new ones can have changed, computed again and put in place, in one commit."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pyiceberg.manifest import DataFile
from pyiceberg.table import Table as IcebergTable

from fleetlake.contracts.positions import POSITIONS
from fleetlake.contracts.table import Table
from fleetlake.contracts.tables import all_tables
from fleetlake.foundation.errors import Retryable
from fleetlake.lake.catalog import Lake
from fleetlake.transform.bounds import between, instant
from fleetlake.transform.engine import Engines, TransformEngine
from fleetlake.transform.marker import TransformMarker, read_marker
from fleetlake.transform.models import Model, seams_model, table_model
from fleetlake.transform.periods import compute_periods
from fleetlake.transform.settings import TransformSettings
from fleetlake.transform.sources import Material, Sources, load_references, material_of
from fleetlake.transform.windows import compute_all, compute_touched, expose_touched, within_stretches
from fleetlake.transform.writing import write_and_commit


@dataclass(frozen=True, slots=True)
class DerivedCounts:
    """One run: rows computed, those of them that were new or different, and old ones taken out (changed ones are in both)."""

    table: str
    devices: int = 0
    computed: int = 0
    added: int = 0
    removed: int = 0
    rebuilt: bool = False


def refresh_derived(lake: Lake, table: Table, settings: TransformSettings, engines: Engines, *, full: bool) -> DerivedCounts:
    """Brings silver.positions or a gold table up to what it is made of, by one commit or, if that has nothing new, by none.

    Afterwards the table is what its model makes of all of its sources, whichever way their rows were divided into runs (windows.py
    and periods.py say why). Only data files that hold a row which is gone or different now are written anew. `full`, or another
    model than the table was made with, computes all of it, whatever state it is in. Raises Conflict if the table was changed
    meanwhile; nothing was changed then.
    """
    return _Refresh(lake, table, settings, engines).run(full=full)


def definition(table: Table, settings: TransformSettings) -> str:
    """Digest of all statements, settings and references the rows of a derived table depend on."""
    thresholds = settings.thresholds
    models = [table_model(table, thresholds)]
    if not table.period and not table.event:
        material = material_of(table, thresholds)
        models += [material.model, *material.views.values()]
    digests = [model.digest for model in models]
    digests += [settings.references.digests[name] for name in sorted(models[0].relations & settings.references.digests.keys())]
    digests += [definition(source, settings) for source in _tables(table.reads)]
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()[:16]


def _tables(names: tuple[str, ...]) -> list[Table]:
    return [table for table in all_tables() if table.name in names]


class _Refresh:
    """One table, one run."""

    def __init__(self, lake: Lake, table: Table, settings: TransformSettings, engines: Engines) -> None:
        self._table, self._settings, self._engines = table, settings, engines
        self._target = lake.table(table.name)  # before its sources, as in silver.py
        self._reads = _tables(table.reads)
        self._sources = Sources(lake, table.reads)
        self._model = table_model(table, settings.thresholds)
        self._columns = ", ".join(column.name for column in table.columns)
        self._key, self._start = table.columns[0].name, table.partition_by

    def run(self, *, full: bool) -> DerivedCounts:
        now = self._sources.now()
        self._check_reads()
        marker, before = TransformMarker(definition(self._table, self._settings), now), read_marker(self._target)
        rebuild = full or (before is not None and before.definition != marker.definition)
        if not rebuild and (self._sources.are_empty() if before is None else before.sources == now):
            return DerivedCounts(self._table.name)
        with self._engines() as engine:
            load_references(engine, self._model, self._settings.references)
            if before is None or rebuild:
                return self._build(engine, marker, rebuilt=rebuild)
            return self._update(engine, marker, {name: source.sequence for name, source in before.sources.items()})

    def _check_reads(self) -> None:
        """The gold tables read have to be made of the positions that are read here."""
        for table in self._reads:
            marker = read_marker(self._sources[table.name])
            if table.layer != "gold" or marker is None or POSITIONS.name not in self._table.reads:
                continue
            if marker.sources[POSITIONS.name] != self._sources.now()[POSITIONS.name]:
                raise Retryable(
                    f"another transform is at work: {table.name} is not of this one's positions", where=self._table.name
                )

    def _build(self, engine: TransformEngine, marker: TransformMarker, *, rebuilt: bool) -> DerivedCounts:
        """Computes everything and puts it in place of what is there, which is not read: it may be damaged."""
        if self._table.period:
            for source in self._reads:
                engine.expose(source.name, self._sources[source.name])
            engine.materialise("episodes", self._model.sql, self._model.settings)
            engine.materialise("stretch", f"SELECT DISTINCT {self._table.entity} AS device_id FROM {self._reads[0].name}")
        else:
            compute_all(engine, self._sources, material_of(self._table, self._settings.thresholds), self._model)
        devices, computed = _counts(engine, "stretch", "episodes")
        if not devices and not rebuilt:
            return DerivedCounts(self._table.name)
        removed = [task.file for task in self._target.scan().plan_files()]
        engine.define("fresh", f"SELECT {self._columns} FROM episodes")
        write_and_commit(engine, "fresh" if computed else None, self._target, self._table.sort, marker, removed)
        gone = sum(file.record_count for file in removed)
        return DerivedCounts(self._table.name, devices, computed, computed, gone, rebuilt)

    def _update(self, engine: TransformEngine, marker: TransformMarker, read: dict[str, int]) -> DerivedCounts:
        """Computes the stretches that new rows touch, and changes what came out differently."""
        table, thresholds = self._table, self._settings.thresholds
        material = material_of(table, thresholds)
        holds_s = {source.name: material.holds_s(source.name) for source in self._reads if source.layer == "silver"}
        if not expose_touched(engine, self._sources, holds_s, read, table.entity):
            # All the same it is of these sources now: tables that are made of this one look whether it is.
            write_and_commit(engine, None, self._target, table.sort, marker, [])
            return DerivedCounts(table.name)
        if table.period:
            episodes = [self._reaching(source) for source in self._reads if source.layer == "gold" and not source.period]
            compute_periods(engine, self._sources, episodes, table, self._reads, self._model)
        else:
            compute_touched(engine, self._sources, material, seams_model(table, thresholds), table, self._model)
        engine.expose("gold.stored", self._target, within_stretches(engine, self._start))
        engine.materialise(
            "existing",
            f"""
            SELECT stored.* FROM gold.stored AS stored JOIN stretch ON stretch.device_id = stored.{table.entity}
            WHERE (from_time IS NULL OR stored.{self._start} >= from_time) AND (to_time IS NULL OR stored.{self._start} < to_time)
            """,
        )
        counts = self._compare(engine)
        self._replace(engine, marker, counts)
        return counts

    def _reaching(self, source: Table) -> tuple[Table, Material, Model]:
        """A table of episodes that is read, and what finds its stretches."""
        thresholds = self._settings.thresholds
        return source, material_of(source, thresholds), seams_model(source, thresholds)

    def _compare(self, engine: TransformEngine) -> DerivedCounts:
        """Makes the relations `fresh` and `gone`: rows to add, and ids to take out. A row that came out the same is in neither."""
        columns = self._columns
        engine.materialise("fresh", f"SELECT {columns} FROM episodes EXCEPT SELECT {columns} FROM existing")
        engine.materialise(
            "gone",
            f"""
            SELECT {self._key} AS id, {self._start} AS at_time, {self._table.entity} AS entity
            FROM (SELECT {columns} FROM existing EXCEPT SELECT {columns} FROM episodes) AS gone
            """,
        )
        devices, computed, added, removed = _counts(engine, "stretch", "episodes", "fresh", "gone")
        return DerivedCounts(self._table.name, devices, computed, added, removed)

    def _replace(self, engine: TransformEngine, marker: TransformMarker, counts: DerivedCounts) -> None:
        """Commits `fresh` without `gone`: files that hold rows of `gone` are replaced by what else they hold."""
        removed = self._files_with_gone(engine) if counts.removed else []
        engine.expose_files("gold.replaced", self._target, removed)
        engine.define(
            "kept",
            f"""
            SELECT {self._columns} FROM gold.replaced
            WHERE NOT EXISTS (
                SELECT 1 FROM gone  -- an id alone may be another topic's as well
                WHERE gone.id = replaced.{self._key} AND gone.at_time = replaced.{self._start}
                    AND gone.entity = replaced.{self._table.entity}
            )
            """,
        )
        write_and_commit(
            engine, "fresh" if counts.added else None, self._target, self._table.sort, marker, removed,
            carried="kept" if removed else None,
        )  # fmt: skip

    def _files_with_gone(self, engine: TransformEngine) -> list[DataFile]:
        ((first, last),) = engine.rows("SELECT micros(min(at_time)), micros(max(at_time)) FROM gone")
        within = between(self._start, instant(first).isoformat(), instant(last).isoformat())
        target: IcebergTable = self._target
        files = [task.file for task in target.scan(row_filter=within).plan_files()]
        return engine.files_with(target, files, self._key, "gone")


def _counts(engine: TransformEngine, *relations: str) -> tuple[int, ...]:
    (counts,) = engine.rows("SELECT " + ", ".join(f"(SELECT count(*) FROM {name})" for name in relations))
    return counts
