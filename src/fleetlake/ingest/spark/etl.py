"""From the raw landing's files into the raw Iceberg tables, each file once. Runs on Spark 3.5 (Glue 5.x) and 4.

The rows say themselves which files have been loaded: `source_file` lands with them, in the same commit, so no bookkeeping can be
behind or ahead of it, and none grows. A load reads the loaded names of one snapshot and commits only if nothing has been added
since: Iceberg's overwrite that replaces nothing, validated from that snapshot. An append would not be validated, and neither would
MERGE ... WHEN NOT MATCHED, which Spark turns into an append (docs/adr/0008).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

from fleetlake.contracts.events import Event
from fleetlake.contracts.table import Table
from fleetlake.contracts.tables import bronze_of, raw_of
from fleetlake.foundation.errors import BadInput, FleetlakeError, Missing, Retryable
from fleetlake.ingest.landing import SUFFIXES, LandingPlan, named_in, names_after, path_of, plan, source_name
from fleetlake.ingest.spark.decode import bronze_rows, table_schema
from fleetlake.lake.snapshots import refused_for_its_clock

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import DataFrame, SparkSession

PROPERTY = "fleetlake.etl"  # of a snapshot's summary: what the commit loaded
TABLE_PROPERTIES = {"format-version": "2", "write.format.default": "parquet", "write.parquet.compression-codec": "zstd"}
LOG = "_spark_metadata"
SOURCE_FILE, FILE_PATH = "source_file", "_metadata.file_path"
VECTORIZED = "spark.sql.iceberg.vectorization.enabled"
ATTEMPTS = 5
CONFLICTS = ("iceberg.exceptions.ValidationException", "iceberg.exceptions.CommitFailedException")
NOT_OURS = "not a file of the Spark ingest: a row without event_id, kafka_offset and reject_reason in "
WHOLE = {"ignoreMissingFiles": "false", "ignoreCorruptFiles": "false"}  # whatever the session says
OnPlan = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class LoadedFiles:
    """What a run added to a table: files that have rows, rows, and those of them that broke the contract."""

    topic: str
    table: str
    files: int
    rows: int
    rejected: int


def load_landing(
    session: SparkSession,
    catalog: str,
    landing: str,
    events: Iterable[Event],
    *,
    warehouse: str | None = None,
    moves: Sequence[tuple[str, str]] = (),
    on_plan: OnPlan = lambda topic, files: None,
) -> list[LoadedFiles]:
    """Loads the new files of `<landing>/<topic>/` of each event into its raw table, one commit a table; returns what was added.

    Again, or by two at once, adds nothing twice. catalog: an Iceberg catalog of the session. warehouse: where tables that have to
    be made go, instead of where the catalog would put them.
    moves: folders that held landings, and where they went. on_plan: told a topic and the number of files before they are read.
    Missing if there is no landing; BadInput, naming the file, for one that can't be read, and then nothing of its topic is added.
    """
    if session.conf.get(f"spark.sql.catalog.{catalog}", None) is None:
        raise Missing(
            f"the Spark session has no catalog {catalog}",
            hint=f"--conf spark.sql.catalog.{catalog}=org.apache.iceberg.spark.SparkCatalog and its settings, see docs/glue.md",
        )
    wanted = list(events)
    if _folder(session, landing) is None:
        raise Missing("there is no landing", where=landing, hint="fleetlake ingest --engine spark --sink parquet --once")
    return [_Load(session, catalog, landing, event, warehouse, moves).run(on_plan) for event in wanted]


class _Load:
    """One topic's load."""

    def __init__(
        self,
        session: SparkSession,
        catalog: str,
        landing: str,
        event: Event,
        warehouse: str | None,
        moves: Sequence[tuple[str, str]],
    ) -> None:
        self._session, self._event, self._warehouse, self._moves = session, event, warehouse, moves
        self._table, self._place = raw_of(event), f"{landing.rstrip('/')}/{event.topic}"
        self._namespace, self._name = f"`{catalog}`.{self._table.layer}", f"`{catalog}`.{self._table.name}"
        self._run = uuid.uuid4().hex

    def run(self, on_plan: OnPlan) -> LoadedFiles:
        planned = LandingPlan()
        try:
            self._create()
            for _ in range(ATTEMPTS):
                base = self._snapshot()
                planned = self._plan(base)
                if not planned.files:
                    return self._loaded(0, 0, 0)
                on_plan(self._event.topic, len(planned.files))
                rows = self._rows(planned)
                if rows.isEmpty():
                    return self._loaded(0, 0, 0)
                try:
                    return self._append(rows, planned, base)
                except Exception as error:
                    if not any(conflict in str(error) for conflict in CONFLICTS):
                        raise
        except FleetlakeError:
            raise
        except Exception as error:  # of pyspark, py4j and what runs in the JVM
            raise _told(self._table, planned, error) from error
        raise Retryable(f"another writer changed the table during each of {ATTEMPTS} attempts", where=self._table.name)

    def _create(self) -> None:
        """Makes the table if it is absent. Iceberg numbers its columns from 1 in their order, as the contract does."""
        types = [field.dataType.simpleString() for field in table_schema(self._table)]
        columns = ", ".join(
            f"`{column.name}` {type_}{' NOT NULL' if column.required else ''} COMMENT {_quoted(column.comment)}"
            for column, type_ in zip(self._table.columns, types, strict=True)
        )
        properties = ", ".join(f"'{name}' = '{value}'" for name, value in TABLE_PROPERTIES.items())
        clauses = [f"PARTITIONED BY (days({self._table.partition_by}))", f"COMMENT {_quoted(self._table.description)}"]
        if self._warehouse:
            place = f"{self._warehouse.rstrip('/')}/{self._table.layer}.db/{self._table.kind}"
            clauses.append(f"LOCATION {_quoted(place)}")
        clauses.append(f"TBLPROPERTIES ({properties})")
        self._session.sql(f"CREATE NAMESPACE IF NOT EXISTS {self._namespace}")
        self._session.sql(f"CREATE TABLE IF NOT EXISTS {self._name} ({columns}) USING iceberg {' '.join(clauses)}")

    def _snapshot(self) -> int | None:
        self._session.sql(f"REFRESH TABLE {self._name}")
        rows = self._session.sql(f"SELECT snapshot_id FROM {self._name}.refs WHERE name = 'main'").collect()
        return int(rows[0][0]) if rows else None

    def _plan(self, base: int | None) -> LandingPlan:
        folder = _folder(self._session, self._place)
        if folder is None:
            return LandingPlan()
        # The log first: what it names has been written by then, so the list has it.
        committed = self._committed() if _folder(self._session, f"{self._place}/{LOG}") else None
        return plan(folder, self._files(), committed, self._loaded_files(base))

    def _committed(self) -> list[str]:
        """The Parquet files the streaming query's log names. They are not looked at: after a copy they are elsewhere."""
        schema = table_schema(bronze_of(self._event))
        return self._session.read.schema(schema).parquet(self._place).inputFiles()

    def _loaded_files(self, base: int | None) -> set[str]:
        """The source names the table has as of a snapshot: the whole of one column, which is a dictionary and little else."""
        if base is None:
            return set()
        with _safe_reads(self._session):
            names = self._session.sql(f"SELECT DISTINCT {SOURCE_FILE} FROM {self._name} VERSION AS OF {base}").collect()
        return names_after((row[0] for row in names), self._moves)

    def _files(self) -> list[str]:
        """All files in the topic's folder. Asked for with a pattern, since Spark shows of the folder itself what its log names."""
        suffixes = ",".join(suffix.removeprefix(".") for suffix in SUFFIXES)
        options = {"recursiveFileLookup": "true", "pathGlobFilter": f"*.{{{suffixes}}}"}
        try:
            return self._session.read.options(**options).text(f"{path_of(self._place)}/*").inputFiles()
        except Exception as error:
            if "PATH_NOT_FOUND" in str(error):  # an empty folder
                return []
            raise

    def _rows(self, planned: LandingPlan) -> DataFrame:
        parts = []
        if planned.parquet:
            parts.append(self._landed_rows(planned.parquet))
        if planned.json:
            parts.append(self._decoded_rows(planned.json))
        return reduce(lambda rows, more: rows.unionByName(more), parts)

    def _landed_rows(self, uris: Iterable[str]) -> DataFrame:
        """Parquet files of the Spark ingest: rows of bronze as they are. A file without their columns is refused."""
        from pyspark.sql import functions as sf

        bronze = bronze_of(self._event)
        read = self._session.read.schema(table_schema(bronze)).options(**WHOLE).parquet(*map(path_of, uris))
        strange = sf.col("kafka_offset").isNull() | (sf.col("event_id").isNull() & sf.col("reject_reason").isNull())
        refused = sf.raise_error(sf.concat(sf.lit(NOT_OURS), sf.col(FILE_PATH))).cast("string")
        source = sf.when(strange, refused).otherwise(_source())
        return read.select(source.alias(SOURCE_FILE), *(column.name for column in bronze.columns))

    def _decoded_rows(self, uris: Iterable[str]) -> DataFrame:
        """JSON lines: as records without a place in a topic. Blank lines are none."""
        from pyspark.sql import functions as sf

        lines = self._session.read.options(**WHOLE, lineSep="\n").text(list(map(path_of, uris)))
        records = lines.where(sf.col("value").rlike(r"\S")).select(
            _source().alias(SOURCE_FILE), sf.lit(None).alias("kafka_partition"), sf.lit(None).alias("kafka_offset"),
            sf.lit(None).alias("kafka_timestamp"), sf.col("value").cast("binary").alias("payload"),
        )  # fmt: skip
        return bronze_rows(self._event, records, sf.current_timestamp(), kept=[SOURCE_FILE])

    def _append(self, rows: DataFrame, planned: LandingPlan, base: int | None) -> LoadedFiles:
        """One commit of the rows, if nothing has been added to the table since `base`; compaction does not count."""
        from pyspark.sql import Observation
        from pyspark.sql import functions as sf

        seen = Observation()
        counted = rows.observe(seen, sf.count(sf.lit(1)).alias("rows"), sf.count("reject_reason").alias("rejected"))
        marker = json.dumps({"run": self._run, "landing": self._place, "files": len(planned.files)}, separators=(",", ":"))
        writer = (
            counted.writeTo(self._name)
            .option("isolation-level", "serializable")
            .option("check-nullability", "false")  # Spark takes every column for one that may be null
            .option(f"snapshot-property.{PROPERTY}", marker)
        )
        if base is not None:  # without one, any snapshot is one too many
            writer = writer.option("validate-from-snapshot-id", str(base))
        writer.overwrite(sf.lit(False))
        counts = seen.get
        return self._loaded(len(planned.files), counts["rows"], counts["rejected"])

    def _loaded(self, files: int, rows: int, rejected: int) -> LoadedFiles:
        return LoadedFiles(self._event.topic, self._table.name, files, rows, rejected)


def _source() -> SparkColumn:
    """`landing.source_name` of a row's file."""
    from pyspark.sql import functions as sf

    plain = sf.regexp_replace(sf.col(FILE_PATH), "^s3[an]?://", "s3://")
    return sf.regexp_replace(plain, "^file:/+", "file:/")


@contextmanager
def _safe_reads(session: SparkSession) -> Iterator[None]:
    """Spark 3 only: no vectorized reads of Iceberg tables. Under Spark 3.5.4 and later those of Iceberg 1.7 crash the JVM."""
    if not session.version.startswith("3."):
        yield
        return
    before = session.conf.get(VECTORIZED, None)
    session.conf.set(VECTORIZED, "false")
    try:
        yield
    finally:
        if before is None:
            session.conf.unset(VECTORIZED)
        else:
            session.conf.set(VECTORIZED, before)


def _folder(session: SparkSession, location: str) -> str | None:
    """The URI of a folder, None if there is none."""
    jvm: Any = session.sparkContext._jvm
    path = jvm.org.apache.hadoop.fs.Path(location)
    configuration: Any = session.sparkContext._jsc
    files = path.getFileSystem(configuration.hadoopConfiguration())
    return str(files.makeQualified(path).toUri().toString()) if files.exists(path) else None


def _quoted(text: str) -> str:
    """`text` as a literal of Spark SQL."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _told(table: Table, planned: LandingPlan, error: Exception) -> FleetlakeError:
    """Spark's exception as one of ours."""
    text = str(error)
    named = named_in(text, planned.files)
    if named:
        what = "is not of the Spark ingest" if NOT_OURS in text else "can't be read"
        return BadInput(
            f"a file of the landing {what}; nothing of its topic was added to {table.name}",
            where=", ".join(map(source_name, named)),
            hint="repair it or move it out of the landing, then run again",
        )
    if (behind := refused_for_its_clock(text, table.name)) is not None:
        return behind
    # Py4J says which call failed, then behind a colon what was thrown; what caused that says more.
    lines = [line.strip(" :") for line in text.splitlines() if line.strip() and "error occurred while calling" not in line]
    what = next((line for line in lines if line.startswith("Caused by")), lines[0] if lines else type(error).__name__)
    return Retryable(f"the load failed: {what}", where=table.name, hint="run it again: what has been committed is not loaded twice")
