"""fleetlake verify: does the lake hold what Kafka holds?"""

from __future__ import annotations

from typing import Annotated

import typer


def verify(as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False) -> None:
    """Compares Kafka's watermarks with bronze, offset by offset, and silver with bronze's good event ids; exit code 1 if not equal.

    A topic is "behind" where bronze is Kafka, but silver has not read all of it; that is exit code 1 too.

    Example: fleetlake verify
    """
    from fleetlake.app.verifying import check_lake, print_checks, require_equal
    from fleetlake.app.wiring import load_settings

    checks = check_lake(load_settings())
    print_checks(checks, as_json=as_json)
    require_equal(checks)
