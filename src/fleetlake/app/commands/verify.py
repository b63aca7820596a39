"""fleetlake verify: does the lake hold what Kafka holds?"""

from __future__ import annotations

from typing import Annotated

import typer


def verify(as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False) -> None:
    """Compares Kafka's watermarks with bronze, offset by offset, and silver with bronze's good event ids; exit code 1 if not equal.

    Example: fleetlake verify
    """
    from fleetlake.app.verifying import check_lake, print_checks
    from fleetlake.app.wiring import load_settings
    from fleetlake.foundation.errors import Unproven

    checks = check_lake(load_settings())
    print_checks(checks, as_json=as_json)
    if failed := [check.topic for check in checks if check.problems]:
        raise Unproven("the lake and Kafka do not hold the same", where=", ".join(failed), hint="fleetlake ingest --once")
