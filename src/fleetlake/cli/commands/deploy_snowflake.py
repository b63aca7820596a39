"""fleetlake deploy snowflake: the lake's tables in Snowflake."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True)
MODE = typer.Option(
    "--mode", metavar="MODE", help="listed: an Iceberg table each; linked: one linked database. snowflake.tables unless given."
)


@app.callback()
def _group() -> None:
    """Snowflake reads the lake's tables where they are, through Glue: volume, integration, tables, views, a role for analysts.

    Example: fleetlake deploy snowflake plan
    """


@app.command()
def plan(
    mode: Annotated[str | None, MODE] = None,
    as_json: Annotated[bool, typer.Option("--json", help="An array of objects: stage, migration, makes, statement.")] = False,
) -> None:
    """Shows every statement in its order, and what happens between the two passes. Needs no credentials and no network.

    Example: fleetlake deploy snowflake plan --mode linked
    """
    import json

    from fleetlake.cloud.snowflake.plan import plan_text, planned
    from fleetlake.config.wiring import load_settings
    from fleetlake.workflows.deploy_snowflake import planned_target

    target = planned_target(load_settings(), mode)
    print(json.dumps(planned(target), indent=2) if as_json else plan_text(target))


@app.command()
def apply(
    mode: Annotated[str | None, MODE] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was made and what waits as JSON.")] = False,
) -> None:
    """Makes what is not there yet. Run again it changes nothing, and goes on where it was cut off.

    Pass 1 makes volume and catalog integration; then the AWS stack is told to trust them, each with its own external id, and
    Snowflake is asked whether that works; pass 2 makes tables, views and grants. What is not in Glue yet waits for the next run.
    Credentials are a connection in connections.toml (snowflake.connection) or SNOWFLAKE_ACCOUNT, SNOWFLAKE_USER and
    SNOWFLAKE_PRIVATE_KEY_FILE; those of AWS come from where every AWS tool takes them.

    Example: fleetlake --set aws.region=eu-west-2 deploy snowflake apply
    """
    import json
    import sys

    from fleetlake.cloud.snowflake.apply import apply as apply_target
    from fleetlake.cloud.snowflake.handshake import SystemClock
    from fleetlake.cloud.snowflake.login import open_session
    from fleetlake.cloud.snowflake.plan import applied_text, as_document
    from fleetlake.cloud.snowflake.stack import StackTrust
    from fleetlake.config.wiring import aws_of, load_settings
    from fleetlake.workflows.deploy_snowflake import deployed_target, require_deployable

    settings = load_settings()
    require_deployable(settings, mode)

    def tell(line: str) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\033[K{line}")

    tell("logging in to Snowflake")
    with open_session(settings.snowflake.connection) as session:
        target = deployed_target(settings, mode)
        applied = apply_target(session, StackTrust(aws_of(settings), settings.aws.stack, tell), target, SystemClock(), tell)
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    print(json.dumps(as_document(applied), indent=2) if as_json else applied_text(applied))
