"""fleetlake doctor: what is missing on this machine."""

from __future__ import annotations

from typing import Annotated

import typer


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False) -> None:
    """Checks Python, Java, ports, disk, the broker's jars, Kafka and the lake; says how to get what is missing. Exit code 1 then.

    A thing is ok, later (fetched or started when it is needed), missing, taken (a port) or broken.

    Example: fleetlake doctor
    """
    import json
    from dataclasses import asdict

    from fleetlake.config.wiring import load_settings
    from fleetlake.foundation.display import escape_controls
    from fleetlake.workflows.diagnose import examine

    findings = examine(load_settings())
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            advice = f"  ->  {finding.advice}" if finding.advice else ""
            print(escape_controls(f"{finding.state:<8} {finding.what:<14} {finding.seen}{advice}"))
    if any(finding.state not in ("ok", "later") for finding in findings):
        raise typer.Exit(1)
