"""One system from its start until every row of the topic is in its table, and what was read back from there."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from pyiceberg.exceptions import NoSuchTableError
from sqlalchemy.exc import SQLAlchemyError

from benchmarks.outputs import Output, read_back, rows_committed
from benchmarks.rig import Watched, used
from benchmarks.systems import Job, System

TIMEOUT_S, LOOK_S = 300.0, 0.5
Result = dict[str, Any]


def measure(system: System, port: int, folder: Path, rows: int) -> list[Result]:
    """A result for each phase; one that did not bring every row over, each once, has `failed` and no figures."""
    home = folder / f"{system.name}-{time.monotonic_ns()}"
    home.mkdir(parents=True)
    try:
        outputs = system.outputs(home)
        watched = Watched(system.command(Job(port, home, rows)), home, port)
        try:
            ended = _wait(watched, system, outputs, rows)
        finally:
            watched.stop()
        return [_result(system, phase, watched, outputs.get(phase), rows, ended=ended) for phase in system.phases]
    except Exception as error:  # one system's trouble is not the others'
        return [{"system": _name(system, phase), "failed": f"{type(error).__name__}: {error}"[:300]} for phase in system.phases]
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _wait(watched: Watched, system: System, outputs: dict[str, Output], rows: int) -> bool:
    """Until it ends, or has all rows if it never ends; whether that was in time."""
    if not system.endless:
        return watched.wait(TIMEOUT_S)
    while time.time() < watched.started + TIMEOUT_S and watched.process.poll() is None:
        try:
            if rows_committed(outputs[system.phases[-1]]) >= rows:
                return True
        except (SQLAlchemyError, NoSuchTableError):
            pass  # locked by a commit
        time.sleep(LOOK_S)
    return False


def _result(system: System, phase: str, watched: Watched, output: Output | None, rows: int, *, ended: bool) -> Result:
    result: Result = {"system": _name(system, phase), "version": watched.reported("version"), "note": system.note}
    if output:
        found = read_back(output)
        count, distinct, first_commit, last = found.rows, found.distinct, found.first_commit_at, found.last_commit_at
        first = None
    else:
        count, distinct = watched.reported("rows") or 0, None  # it writes nothing that ids could be read back from
        first, last = watched.reported("first_at"), watched.reported("last_at") or 0.0
        first_commit = last
    if not ended or count != rows or distinct not in (rows, None):
        why = f"{count:,} rows and {distinct or 0:,} ids of {rows:,}{'' if ended else ', stopped'}: {watched.last_words()}"
        return result | {"failed": why}
    start = watched.started
    if len(system.phases) > 1 and phase != system.phases[0]:
        start = next(report["at"] for report in watched.reports if report.get("phase") == phase)
    spent = used(watched.samples, start, last)
    first = first or spent.first_at
    if first is None or first >= last:
        return result | {"failed": "when it read its first record was not seen"}
    return result | {
        "rows": count, "distinct_ids": distinct, "seconds_active": last - first, "seconds_total": last - start,
        "events_per_s": rows / (last - first), "cpu_s_per_million": spent.cpu_s / rows * 1e6,
        "active_cpu_s_per_million": spent.active_cpu_s / rows * 1e6, "peak_mb": spent.peak_mb,
        "first_record_s": first - start, "first_commit_s": first_commit - start,
    }  # fmt: skip


def _name(system: System, phase: str) -> str:
    return system.name if len(system.phases) == 1 else f"{system.name}-{phase}"
