"""fleetlake deploy athena: tables over the landing, views and named queries."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Athena: external tables over the raw landing, views for analysts, named queries; all from the contracts.

    Example: fleetlake deploy athena plan
    """


@app.command()
def plan(
    as_json: Annotated[bool, typer.Option("--json", help="Statements and named queries as one object.")] = False,
) -> None:
    """Prints every statement and named query in order. Needs no credentials and no network.

    Example: fleetlake --set aws.bucket=my-bucket deploy athena plan
    """
    from fleetlake.config.wiring import load_settings
    from fleetlake.serve.output import write_json
    from fleetlake.workflows.deploy_athena import plan_text, planned

    made = planned(load_settings())
    if not as_json:
        typer.echo(plan_text(made))
        return
    write_json(
        {
            "database": made.target.database,
            "landing": made.target.landing,
            "statements": [
                {"kind": str(one.kind), "name": one.name, "reads": one.reads, "sql": one.signed} for one in made.statements
            ],
            "named_queries": [
                {"name": one.title, "description": one.text, "database": one.database, "sql": one.saved} for one in made.named
            ],
        }
    )


@app.command()
def apply(
    as_json: Annotated[bool, typer.Option("--json", help="What was done as one object.")] = False,
) -> None:
    """Makes what is not there yet. Run again it changes nothing, and goes on where it was cut off.

    Names, credentials, workgroup and bucket are looked at first. A view whose tables the lake does not have yet waits: it is
    told, and made by the next run (exit code 0).

    Example: fleetlake --profile aws deploy athena apply
    """
    from dataclasses import asdict

    from fleetlake.config.wiring import load_settings
    from fleetlake.serve.output import write_json
    from fleetlake.workflows.deploy_athena import applied, outcome_text

    made, outcomes = applied(load_settings())
    if as_json:
        write_json({"database": made.target.database, "outcomes": [asdict(outcome) for outcome in outcomes]})
    else:
        typer.echo(outcome_text(made, outcomes))
