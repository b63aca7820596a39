"""fleetlake transform: from bronze to silver and gold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from fleetlake.config.settings import Settings
    from fleetlake.transform.engine import Engines


def transform(
    full: Annotated[
        bool, typer.Option("--full", help="Compute all of silver and gold from bronze again; the result is the same.")
    ] = False,
    engine: Annotated[
        Literal["native", "spark"], typer.Option(help="Which engine computes; both give the same rows and may take turns.")
    ] = "native",
    master: Annotated[str | None, typer.Option(metavar="URL", help="Spark: local[N], or spark://HOST:PORT of a cluster.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Brings silver (one row per event, late ones marked) and gold (trips, driving events, scores) up to what has been ingested.

    Reads only what is new since the last run. A table whose model or thresholds changed is computed anew.

    Example: fleetlake transform
    Example: fleetlake transform --engine spark --master spark://127.0.0.1:17077
    """
    import sys
    from dataclasses import asdict

    import pyarrow as pa

    from fleetlake.config.wiring import load_settings, open_lake_from, transform_settings
    from fleetlake.foundation.errors import BadInput
    from fleetlake.serve.output import Form, write_json, write_rows
    from fleetlake.transform.runner import run_transform

    if master is not None and engine == "native":
        raise BadInput("--master is not for the native engine", hint="fleetlake transform --engine spark")
    settings = load_settings()

    def tell(table: str) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\033[Ktransform: {table}")

    with _engines(settings, engine, master) as engines:
        report = run_transform(open_lake_from(settings), transform_settings(settings), engines=engines, full=full, on_progress=tell)
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    if as_json:
        write_json(asdict(report))
        return
    for counts in (report.silver, report.derived):
        rows = pa.Table.from_pylist([asdict(count) for count in counts])
        write_rows(rows.drop_columns([name for name in ("topic", "rebuilt") if name in rows.column_names]), Form.TABLE)


@contextmanager
def _engines(settings: Settings, engine: str, master: str | None) -> Iterator[Engines | None]:
    """What opens the engine, None for the default. A Spark session lasts as long as the context."""
    if engine == "native":
        yield None
        return
    from functools import partial

    from fleetlake.config.wiring import lake_settings, open_lake_from, spark_settings
    from fleetlake.lake.spark import spark_session
    from fleetlake.transform.spark import APP_NAME

    lake, spark = lake_settings(settings), spark_settings(settings, master)
    open_lake_from(settings).require_storage()  # said before Spark has started
    with spark_session(spark, lake, app_name=APP_NAME) as session:
        from fleetlake.transform.spark.engine import spark_engine

        yield partial(spark_engine, session, lake.name)
