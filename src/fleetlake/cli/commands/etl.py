"""fleetlake etl: from the raw landing into the raw tables."""

from __future__ import annotations

from typing import Annotated

import typer


def etl(
    landing: Annotated[
        str | None, typer.Option(metavar="PATH", help="The raw landing: a folder or s3a:// path; spark.landing unless given.")
    ] = None,
    topic: Annotated[list[str] | None, typer.Option(metavar="TOPIC", help="Only this topic; may be given again.")] = None,
    master: Annotated[str | None, typer.Option(metavar="URL", help="local[N], or spark://HOST:PORT of a cluster.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Loads the new files of the raw landing into the raw.* tables, each file once, and says what was added.

    The landing is what `fleetlake ingest --engine spark --sink parquet` writes, and files of JSON lines (*.json, *.json.gz,
    *.ndjson) beside that, in the folder of their topic. It is also AWS Glue's job, see docs/glue.md.

    Example: fleetlake etl --landing s3a://my-bucket/landing --topic gps_data
    """
    import json
    import sys
    from dataclasses import asdict
    from pathlib import Path

    from fleetlake.config.wiring import lake_settings, load_settings, open_lake_from, spark_settings
    from fleetlake.contracts.events import EVENTS
    from fleetlake.contracts.tables import raw_of
    from fleetlake.foundation.errors import BadInput, Missing
    from fleetlake.ingest.spark.etl import load_landing
    from fleetlake.lake.aws_properties import is_on_aws, is_s3
    from fleetlake.lake.identity import moves_of
    from fleetlake.lake.places import local_path
    from fleetlake.lake.spark import spark_session

    known = {event.topic: event for event in EVENTS}
    for name in topic or ():
        if name not in known:
            raise BadInput(f"there is no topic {name}", where="--topic", allowed=", ".join(known))
    settings = load_settings()
    place = landing or settings.spark.landing or f"{settings.home.resolve()}/landing"
    local = local_path(place)
    if local is not None and not Path(local).is_dir():  # said before Spark has started
        raise Missing("there is no landing", where=place, hint="fleetlake ingest --engine spark --sink parquet --once")
    lake, spark = lake_settings(settings), spark_settings(settings, master)
    reached = open_lake_from(settings)  # whose the lake is, and what AWS refuses, is said before Spark has started, too
    if is_on_aws(lake.properties):
        reached.require_storage(place)
        reached.has(raw_of(EVENTS[0]).name)

    def tell(topic: str, files: int) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\033[Ketl: {topic}, {files:,} files")

    with spark_session(spark, lake, app_name="fleetlake-etl", s3=is_s3(place)) as session:
        wanted = [known[name] for name in topic or known]
        added = load_landing(session, lake.name, place, wanted, moves=moves_of(reached), on_plan=tell)
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    if as_json:
        print(json.dumps([asdict(table) for table in added]))
        return
    for table in added:
        print(f"{table.table:<20} {table.files:>6,} files  {table.rows:>10,} rows added  {table.rejected:>8,} of them rejected")
