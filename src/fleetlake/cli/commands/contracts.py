"""fleetlake contracts: the events and tables for other tools."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False)


class ContractFormat(StrEnum):
    JSON_SCHEMA = "json-schema"
    ASYNCAPI = "asyncapi"
    MARKDOWN = "markdown"


@app.callback()
def contracts() -> None:
    """What is in the topics and tables, for other tools and for people.

    Example: fleetlake contracts export --format markdown
    """


@app.command()
def export(
    form: Annotated[
        ContractFormat, typer.Option("--format", help="One schema an event, one document of all topics, or a page to read.")
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write files to this folder, made if absent; else stdout.")
    ] = None,
) -> None:
    """Writes the contracts as JSON Schema (draft 2020-12), AsyncAPI 3.0 or Markdown.

    On stdout the five JSON Schemas are one object, by topic.

    Example: fleetlake contracts export --format json-schema --out schemas
    """
    from fleetlake.contracts.json_schema import SCHEMA_SUFFIX

    documents = _documents(form)
    if out is None:
        schemas = {name.removesuffix(SCHEMA_SUFFIX): document for name, document in documents.items()}
        print(_text(schemas if form is ContractFormat.JSON_SCHEMA else next(iter(documents.values()))), end="")
        return
    for name, document in documents.items():
        print(_write(out / name, _text(document)))


@app.command()
def check(
    old: Annotated[Path, typer.Argument(help="The contracts that are in use: an exported folder or file.")],
    new: Annotated[Path | None, typer.Argument(help="Those that are to come; this version's own if left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the differences as JSON.")] = False,
) -> None:
    """Compares two versions of the contracts: what becomes of the records of either at the other, and of the tables.

    full: any order of change loses nothing. backward: the lake first. forward: the producers first. Exit code 1 if breaking:
    neither order goes; 2 for what is no contract. It compares two versions; a name that an earlier one had is not known here.

    Example: fleetlake contracts check schemas-1.0 schemas-1.1
    """
    from fleetlake.contracts.compatibility import compare
    from fleetlake.workflows.compare_contracts import contracts_at, print_differences, require_compatible

    differences = compare(contracts_at(old), contracts_at(new))
    print_differences(differences, as_json=as_json)
    require_compatible(differences)


def _documents(form: ContractFormat) -> dict[str, object]:
    """File name to content."""
    from fleetlake import __version__
    from fleetlake.contracts.asyncapi import asyncapi
    from fleetlake.contracts.events import EVENTS
    from fleetlake.contracts.json_schema import SCHEMA_SUFFIX, json_schema
    from fleetlake.contracts.reference import markdown_reference

    if form is ContractFormat.JSON_SCHEMA:
        return {f"{event.topic}{SCHEMA_SUFFIX}": json_schema(event) for event in EVENTS}
    if form is ContractFormat.ASYNCAPI:
        return {"asyncapi.json": asyncapi("fleetlake", __version__)}
    return {"tables.md": markdown_reference()}


def _text(document: object) -> str:
    import json

    return document if isinstance(document, str) else json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _write(path: Path, text: str) -> Path:
    from fleetlake.foundation.errors import BadInput

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"can't write: {error.strerror}", where=str(path), allowed="a folder that can be written") from error
    return path
