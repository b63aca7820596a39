"""fleetlake simulate: vehicles on the road from London to Birmingham."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fleetlake.simulate.run import SimulationReport
    from fleetlake.simulate.sink import EventSink


class SimulationTarget(StrEnum):
    KAFKA = "kafka"
    NDJSON = "ndjson"


def simulate(
    vehicles: Annotated[int, typer.Option(help="How many.")] = 5,
    tick: Annotated[int, typer.Option(help="Seconds between two reports of a vehicle.")] = 3,
    speedup: Annotated[str, typer.Option(metavar="X|max", help="Simulated seconds per second; 1 is real time.")] = "max",
    seed: Annotated[int, typer.Option(help="Everything follows from it and the other options, event ids included.")] = 1,
    fleet: Annotated[
        str, typer.Option(metavar="NAME", help="What device ids begin with; sim<seed> unless given, for example sim1-00002.")
    ] = "",
    start_time: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"], help="UTC; yesterday at 06:00 unless given.")
    ] = None,
    to: Annotated[SimulationTarget, typer.Option(help="Kafka, or JSON lines on stdout.")] = SimulationTarget.KAFKA,
    faults: Annotated[
        str,
        typer.Option(
            metavar="duplicates=..,late=..,poison=..,dropped_fixes=..",
            help="Shares of the events, 0 to 1 each; dropped_fixes: of gps_data alone.",
        ),
    ] = "",
    truth: Annotated[
        Path | None, typer.Option(help="Folder for what really happened, as Parquet; below home unless given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON; with --to ndjson they go to stderr.")] = False,
) -> None:
    """Drives vehicles from London to Birmingham and sends five events per vehicle and tick. Ends when all have arrived.

    SIGINT and SIGTERM end it in order: what was reported until then is delivered and counted; exit code 130 or 143.
    The same options give the same events, byte by byte, ids included; runs with other vehicles,
    times, ticks, seed or fleet share no event id.

    Example: fleetlake simulate --vehicles 20 --speedup max --seed 7 --faults duplicates=0.01,late=0.02,poison=0.005
    """
    import sys
    from datetime import UTC

    from fleetlake.config.wiring import load_settings, open_producer
    from fleetlake.simulate.faults import FaultRates
    from fleetlake.simulate.run import SimulationSettings, run_simulation
    from fleetlake.simulate.sink import NdjsonSink
    from fleetlake.workflows.simulate import (
        StopSignals,
        default_start,
        parse_speedup,
        print_simulation,
        simulation_progress,
        truth_folder,
    )

    settings = load_settings()
    start = start_time.replace(tzinfo=UTC) if start_time else default_start()
    run = SimulationSettings(vehicles, start, tick, seed, parse_speedup(speedup), fleet=fleet)
    rates, folder = FaultRates.parse(faults), truth or truth_folder(settings, run)
    with StopSignals() as signals, simulation_progress(run) as on_tick:

        def drive(sink: EventSink) -> SimulationReport:
            return run_simulation(
                run, sink, faults=rates, truth_folder=folder, on_tick=on_tick, stopped=signals.stopped, sleep=signals.sleep
            )

        if to is SimulationTarget.NDJSON:
            report = drive(NdjsonSink(sys.stdout))
        else:
            with open_producer(settings) as producer:
                report = drive(producer)
    if signals.received:
        print("interrupted; what was sent until then:", file=sys.stderr)
    print_simulation(report, folder, as_json=as_json, stream=sys.stderr if to is SimulationTarget.NDJSON else sys.stdout)
    if signals.received:
        raise typer.Exit(128 + signals.received)
