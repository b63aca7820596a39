"""fleetlake demo: the main job, end to end."""

from __future__ import annotations

from typing import Annotated

import typer


def demo(
    vehicles: Annotated[int, typer.Option(min=1, help="How many drive.")] = 20,
    seed: Annotated[int | None, typer.Option(min=0, help="Another seed, another day on the road; counts up unless given.")] = None,
) -> None:
    """Starts Kafka, drives vehicles from London to Birmingham, ingests meanwhile, makes trips, checks the books, draws a map.

    Duplicates, late events and poison are among what is sent. A second run adds a new day of drives to the same lake. Exit code 1
    if the counts do not add up.

    Example: fleetlake demo --vehicles 20
    """
    from fleetlake.config.wiring import load_settings
    from fleetlake.workflows.demo import run_demo

    run_demo(load_settings(), vehicles=vehicles, seed=seed)
