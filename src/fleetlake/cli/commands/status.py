"""fleetlake status: what runs, and what is in the topics."""

from __future__ import annotations

from typing import Annotated

import typer


def status(as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False) -> None:
    """Shows whether Kafka answers, where, and how many records each topic holds. Exit code 1 if it does not answer.

    Example: fleetlake status --json
    """
    import json

    from fleetlake.broker.embedded import NotOurs
    from fleetlake.broker.topics import cluster_id, watermarks
    from fleetlake.config.masking import without_secrets
    from fleetlake.config.wiring import embedded_broker, kafka_address, load_settings
    from fleetlake.contracts.events import EVENTS
    from fleetlake.foundation.errors import Missing
    from fleetlake.foundation.full_disk import note_of_full_disks

    settings = load_settings()
    kafka, broker = kafka_address(settings), embedded_broker(settings)
    found: dict[str, object] = {
        "bootstrap_servers": kafka.bootstrap_servers,
        "embedded": broker is not None,
        "pid": broker.pid() if broker else None,
        "running": True,
        "topics": {},
    }
    try:
        if broker:
            broker.require_own()
        found["cluster_id"] = cluster_id(kafka, timeout_s=3)
        marks = watermarks(kafka, [event.topic for event in EVENTS])
        found["topics"] = {
            topic: {"partitions": len(of), "records": sum(high - low for low, high in of.values())} for topic, of in marks.items()
        }
    except (Missing, NotOurs) as missing:
        full = note_of_full_disks(missing, [settings.home, settings.home / "kafka"] if broker else [])
        problem = f"{missing}; {full}" if full else str(missing)
        found |= {"running": "cluster_id" in found, "problem": without_secrets(problem)}
    if as_json:
        print(json.dumps(found))
    else:
        _print(found)
    if "problem" in found:
        raise typer.Exit(1)


def _print(found: dict[str, object]) -> None:
    kind = "embedded Kafka" if found["embedded"] else "Kafka"
    process = f", process {found['pid']}" if found["pid"] else ""
    down = "not running" if found["embedded"] and not found["pid"] else "not reachable"
    print(f"{kind} on {found['bootstrap_servers']}: {'running' if found['running'] else down}{process}")
    topics = found["topics"]
    if isinstance(topics, dict):
        for topic, counts in topics.items():
            print(f"  {topic:<16} {counts['records']:>12,} records in {counts['partitions']} partitions")
    if "problem" in found:
        print(found["problem"])
