"""fleetlake config: the settings."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Settings come from flags, the environment, fleetlake.toml and defaults, in this order.

    Example: FLEETLAKE__KAFKA__PORT=29092 fleetlake config show
    """


@app.command()
def show(as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False) -> None:
    """Shows every setting, its value, and where the value came from. Secrets are not shown, references to them are.

    Example: fleetlake --set kafka.port=29092 config show
    """
    import json

    from fleetlake.config.settings import describe
    from fleetlake.config.wiring import load_all

    rows = list(describe(load_all()))
    if as_json:
        print(json.dumps({name: {"value": value, "source": source} for name, value, source, _ in rows}))
        return
    width = max(len(name) for name, *_ in rows)
    for name, value, source, description in rows:
        print(f"{name:<{width}}  {value or '-':<24}  {source:<12}  {description}")
