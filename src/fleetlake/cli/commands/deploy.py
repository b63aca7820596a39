"""fleetlake deploy: AWS, Athena and Snowflake, each in a module of its own."""

from __future__ import annotations

import typer

from fleetlake.cli.commands.deploy_athena import app as athena
from fleetlake.cli.commands.deploy_aws import app as aws
from fleetlake.cli.commands.deploy_snowflake import app as snowflake

app = typer.Typer(add_completion=False, no_args_is_help=True)
app.add_typer(aws, name="aws")
app.add_typer(athena, name="athena")
app.add_typer(snowflake, name="snowflake")


@app.callback()
def _group() -> None:
    """What has to be made in the cloud, from the contracts: `plan` shows all of it without credentials, `apply` makes it.

    Example: fleetlake deploy aws plan
    """
