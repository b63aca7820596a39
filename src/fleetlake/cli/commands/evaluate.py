"""fleetlake evaluate: does gold tell what happened?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fleetlake.config.settings import Settings
    from fleetlake.evaluate.run import Evaluation

VEHICLES, SEED = 20, 1
BEHIND_OR_LEFT_OUT = "fleetlake transform, if it is behind; fleetlake quality says which fixes are left out"


def evaluate(
    vehicles: Annotated[
        int | None, typer.Option(help=f"Of the fleets it drives; {VEHICLES} unless given.", show_default=False)
    ] = None,
    seed: Annotated[int | None, typer.Option(help=f"Of these fleets; {SEED} unless given.", show_default=False)] = None,
    lake: Annotated[bool, typer.Option("--lake", help="Drive none: compare this lake with all the truth below home.")] = False,
    truth: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Compare this lake with the truth that simulate wrote to this folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="An array of objects, with every episode missed or false.")] = False,
) -> None:
    """Compares gold with what really happened: trips, stops, harsh events and overspeed; exit code 1 below what is asked.

    By itself it drives fleets into lakes of their own and forgets them, without Kafka: as they report by default (every 3 s), with
    GPS noise of 5 m, with 5 % of the fixes dropped, every 30 s, and all three. By default precision and recall have to be 1, and
    every trip within a report of its start and end and within 1 % of its distance. Otherwise, and in a lake, precision has to be
    0.98, recall 0.95 and the median trip within 1 %. An episode is found if it is where the true one is, give or take the time
    between two reports.

    Example: fleetlake evaluate --vehicles 40 --seed 7
    Example: fleetlake evaluate --lake
    """
    from fleetlake.config.wiring import load_settings
    from fleetlake.evaluate.run import print_evaluations, require_good
    from fleetlake.foundation.errors import BadInput

    in_lake = lake or truth is not None
    if in_lake and (vehicles is not None or seed is not None):
        raise BadInput("--vehicles and --seed are of fleets it drives, --lake and --truth of runs there were", allowed="either")
    evaluations = (
        _of_lake(load_settings(), truth)
        if in_lake
        else _of_fleets(VEHICLES if vehicles is None else vehicles, SEED if seed is None else seed)
    )
    print_evaluations(evaluations, as_json=as_json)
    require_good(evaluations, hint=BEHIND_OR_LEFT_OUT if in_lake else "")


def _of_fleets(vehicles: int, seed: int) -> list[Evaluation]:
    import sys

    from fleetlake.evaluate.run import CONDITIONS, evaluate_fleet

    def tell(text: str) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\033[K{text}")

    done = [evaluate_fleet(condition, vehicles, seed, on_progress=tell) for condition in CONDITIONS]
    tell("")
    return done


def _of_lake(settings: Settings, truth: Path | None) -> list[Evaluation]:
    """With one folder, or with all below home; of these, what can't be compared is named on stderr and left out."""
    import sys

    from fleetlake.config.wiring import open_existing_lake
    from fleetlake.evaluate.run import evaluate_lake
    from fleetlake.foundation.errors import BadInput, Missing

    opened = open_existing_lake(settings)
    if truth is not None:
        return [evaluate_lake(opened, truth)]
    below = settings.home / "truth"
    done: list[Evaluation] = []
    failure: Missing | BadInput = Missing("no truth of a simulation", where=str(below), hint="fleetlake simulate")
    for folder in sorted(path for path in below.glob("*") if path.is_dir()):
        try:
            done.append(evaluate_lake(opened, folder))
        except (Missing, BadInput) as error:  # not in this lake, still being written, or over at once
            failure = error
            print(f"left out: {error}", file=sys.stderr)
    if not done:
        raise failure
    return done
