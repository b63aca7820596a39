"""The estimate of a month on AWS, as a table and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from fleetlake.cloud.aws.cost import CostPlan, Estimate, Load, Rates, compare, estimate

AGES_S = (0.3, 1.0, 10.0, 60.0, 300.0)


def print_cost(load: Load, plan: CostPlan, rates: Rates, *, prices: str, as_json: bool) -> None:
    """Lines with formulae, then other flush intervals with and without compaction. prices: the table's file."""
    found = estimate(load, plan, rates)
    others = compare(load, plan, rates, tuple(sorted({*AGES_S, plan.flush_age_s})))
    if as_json:
        typer.echo(
            json.dumps({"prices_of": rates.date, "plan": asdict(plan), **_shown(found), "others": _others(others)}, indent=2)
        )
        return
    typer.echo(
        f"{load.vehicles:,} vehicles, an event a topic every {load.tick_s:g} s, {load.hours_a_day:g} h a day: a month (30.4 days)"
    )
    for line in found.lines:
        typer.echo(f"  {line.name:26} {line.usd:>12,.2f} USD  {line.formula}")
    typer.echo(f"  {'total':26} {found.usd:>12,.2f} USD  and {found.stored_gb:,.1f} GB are stored at its end")
    if found.problem:
        typer.echo(f"  this can't be run so: {found.problem}")
    typer.echo(
        f"\n{'flush s':>8} {'commits s':>9} {'compaction':>10} {'rows/file':>10} {'metadata MB':>11} {'stored GB':>11} {'USD':>12}"
    )
    for other, one in others:
        mark = "  can't be run: metadata.json" if one.problem else ""
        typer.echo(
            f"{other.flush_age_s:>8g} {one.interval_s:>9g} {'yes' if other.compacted else 'no':>10} {one.rows_a_file:>10,.0f} "
            f"{one.metadata_mb:>11,.1f} {one.stored_gb:>11,.1f} {one.usd:>12,.2f}{mark}"
        )
    typer.echo(
        f"prices of {rates.date}, assumptions beside them: {prices}; bytes are measured: src/fleetlake/cloud/aws/measured.toml"
    )


def _shown(found: Estimate) -> dict[str, object]:
    return {**asdict(found), "usd": found.usd}


def _others(others: tuple[tuple[CostPlan, Estimate], ...]) -> list[dict[str, object]]:
    return [
        {"flush_age_s": plan.flush_age_s, "compacted": plan.compacted, **{k: v for k, v in _shown(one).items() if k != "lines"}}
        for plan, one in others
    ]
