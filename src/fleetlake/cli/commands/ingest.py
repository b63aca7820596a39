"""fleetlake ingest: from Kafka into the bronze tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fleetlake.foundation.errors import BadInput

if TYPE_CHECKING:
    from fleetlake.ingest.native import NativeIngest, TopicReport
    from fleetlake.ingest.spark.engine import SparkIngest


def ingest(
    once: Annotated[
        bool,
        typer.Option("--once", help="Stop when all that can be read now is committed; what is behind an open transaction is left."),
    ] = False,
    engine: Annotated[Literal["native", "spark"], typer.Option(help="Which engine ingests.")] = "native",
    accept_gaps: Annotated[
        bool, typer.Option("--accept-gaps", help="Native: go on past records that retention deleted, and write the loss down.")
    ] = False,
    flush_rows: Annotated[int | None, typer.Option(min=1, help="Native: commit at the latest after so many records.")] = None,
    flush_age: Annotated[float | None, typer.Option(min=0.01, help="Native: commit at the latest after so many seconds.")] = None,
    sink: Annotated[
        Literal["iceberg", "parquet"] | None,
        typer.Option(help="Spark: the bronze tables (default), or Parquet files under LANDING/TOPIC/."),
    ] = None,
    master: Annotated[str | None, typer.Option(metavar="URL", help="Spark: local[N], or spark://HOST:PORT of a cluster.")] = None,
    trigger: Annotated[float | None, typer.Option(min=0, help="Spark: seconds from one micro-batch to the next.")] = None,
    deduplicate: Annotated[
        bool, typer.Option("--deduplicate", help="Spark, parquet: leave out copies of an event within the watermark of 2 minutes.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Lands every record of the five topics in Iceberg, exactly once; goes on where it stopped.

    Runs until it gets SIGINT or SIGTERM, which commit what has been read; kill -9 loses and doubles nothing either. A lake is
    filled by one engine: the other one is refused once there are rows.

    Example: fleetlake ingest --once
    Example: fleetlake ingest --engine spark --master spark://127.0.0.1:17077 --once
    """
    from fleetlake.config.wiring import load_settings
    from fleetlake.runtime.memory import keep_freed_memory
    from fleetlake.workflows.ingest import SparkRun, open_ingest, open_spark_ingest, print_counts, progress_on_terminal

    of_native = {"--accept-gaps": accept_gaps, "--flush-rows": flush_rows, "--flush-age": flush_age}
    of_spark = {"--sink": sink, "--master": master, "--trigger": trigger, "--deduplicate": deduplicate}
    _refuse(of_spark if engine == "native" else of_native, engine)
    if deduplicate and sink != "parquet":
        raise BadInput(
            "--deduplicate with the bronze tables",
            allowed="--sink parquet",
            hint="bronze keeps every record; silver is deduplicated",
        )
    settings = load_settings()
    with progress_on_terminal("ingest") as on_commit:
        if engine == "spark":
            run = SparkRun(sink or "iceberg", master, trigger, deduplicate, on_commit)
            with open_spark_ingest(settings, run) as streaming:
                reports = _until_signalled(streaming, once=once)
        else:
            keep_freed_memory()
            native = open_ingest(
                settings, accept_gaps=accept_gaps, flush_rows=flush_rows, flush_age_s=flush_age, on_commit=on_commit
            )
            reports = _until_signalled(native, once=once)
    print_counts(reports, as_json=as_json)


def _refuse(others: Mapping[str, object], engine: str) -> None:
    """BadInput if an option of the other engine was given."""
    for option, value in others.items():
        if value:
            raise BadInput(
                f"{option} is not for the {engine} engine", hint=f"fleetlake ingest --help says which engine {option} is for"
            )


def _until_signalled(ingest: NativeIngest | SparkIngest, *, once: bool) -> Mapping[str, TopicReport]:
    import signal

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ingest.stop())
    return ingest.run(once=once)
