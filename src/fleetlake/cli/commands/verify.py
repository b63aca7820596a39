"""fleetlake verify: does the lake hold what Kafka holds?"""

from __future__ import annotations

from typing import Annotated

import typer


def verify(as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False) -> None:
    """Compares Kafka with bronze, bronze with what its commits wrote, and silver with bronze; exit code 1 if not equal.

    Offset by offset: where bronze lacks one, Kafka is asked whether it has a record there, so transactions and compacted topics are
    no losses. All rows are read. What can't be checked is said, with why, and is no error: offsets behind an open transaction, rows
    from before the table had a digest. A topic is "behind" where bronze is Kafka, but silver has not read all of it; that is exit
    code 1 too.

    Example: fleetlake verify
    """
    from fleetlake.config.wiring import load_settings
    from fleetlake.workflows.verify import check_lake, print_checks, require_equal

    checks = check_lake(load_settings())
    print_checks(checks, as_json=as_json)
    require_equal(checks)
