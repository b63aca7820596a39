"""AWS Glue job: loads the new files of the raw landing into Iceberg tables of the Glue Data Catalog. Parameters in docs/glue.md.

It uses the session that Glue makes from the job's --conf, and runs under spark-submit as well.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pyspark.sql import SparkSession

from fleetlake.contracts.events import EVENTS
from fleetlake.foundation.errors import BadInput, FleetlakeError
from fleetlake.ingest.spark.etl import load_landing

REQUIRED, OPTIONAL = ("landing", "catalog"), ("warehouse", "topics")


def parameters(arguments: Sequence[str]) -> dict[str, str]:
    """The job's own parameters by name; those of Glue are left alone. arguments: the script's name first."""
    given = [name for name in OPTIONAL if any(word.split("=")[0] == f"--{name}" for word in arguments)]
    names = [*REQUIRED, *given]
    try:
        from awsglue.utils import getResolvedOptions
    except ImportError:  # not on Glue
        parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
        for name in names:
            parser.add_argument(f"--{name}", required=True)
        return vars(parser.parse_known_args(arguments[1:])[0])
    resolved = getResolvedOptions(list(arguments), names)
    return {name: resolved[name] for name in names}


def run(arguments: Sequence[str]) -> None:
    """Loads, and prints a line a table. Raises FleetlakeError."""
    chosen = parameters(arguments)
    known = {event.topic: event for event in EVENTS}
    topics = [name.strip() for name in chosen["topics"].split(",")] if "topics" in chosen else list(known)
    for name in topics:
        if name not in known:
            raise BadInput(f"there is no topic {name}", where="--topics", allowed=", ".join(known))
    session = SparkSession.builder.getOrCreate()
    events = [known[name] for name in topics]
    for added in load_landing(session, chosen["catalog"], chosen["landing"], events, warehouse=chosen.get("warehouse")):
        print(f"{added.table}: {added.files:,} files, {added.rows:,} rows added, {added.rejected:,} of them rejected")


if __name__ == "__main__":
    try:
        run(sys.argv)
    except FleetlakeError as error:
        sys.exit(f"error: {error}")
