"""Writes the generated pages: `python -m docs.generate`; with --check it only says which are not current, with exit code 1."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fleetlake.cli.command_line import cli
from fleetlake.cloud.snowflake.files import migration_files
from fleetlake.contracts.reference import markdown_reference

FOLDER = Path(__file__).parent
WIDTH = 110


def commands() -> Iterator[tuple[str, Any, Any]]:
    """Every command with its full name, its click command and a context to show its help in, the root first."""
    root = cli()
    yield from _with_children(root, root.make_context("fleetlake", [], resilient_parsing=True))


def _with_children(command: Any, context: Any) -> Iterator[tuple[str, Any, Any]]:
    context.terminal_width = context.max_content_width = WIDTH
    yield context.command_path, command, context
    for name in command.list_commands(context) if hasattr(command, "list_commands") else ():
        child = command.get_command(context, name)
        yield from _with_children(child, child.make_context(name, [], parent=context, resilient_parsing=True))


def cli_reference() -> str:
    """The help of every command, as Markdown."""
    parts = ["# Commands\n\nGenerated from the commands' own help by `python -m docs.generate`; do not edit."]
    parts += [f"## {name}\n\n```text\n{_help(command, context)}\n```" for name, command, context in commands()]
    return "\n\n".join(parts) + "\n"


def _help(command: Any, context: Any) -> str:
    formatter = context.make_formatter()
    command.format_usage(context, formatter)
    command.format_help_text(context, formatter)
    command.format_options(context, formatter)
    return "\n".join(line.rstrip() for line in formatter.getvalue().strip().splitlines())


def pages() -> dict[Path, str]:
    migrations = {FOLDER.parent / "deploy" / "snowflake" / name: text for name, text in migration_files().items()}
    return {FOLDER / "tables.md": markdown_reference(), FOLDER / "cli.md": cli_reference()} | migrations


def stale() -> list[Path]:
    """The pages that are not what they would be if they were generated now."""
    return [path for path, text in pages().items() if not path.is_file() or path.read_text(encoding="utf-8") != text]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    outdated = stale() if parser.parse_args().check else []
    for path in outdated:
        print(f"{path} is not current: python -m docs.generate", file=sys.stderr)
    if outdated:
        sys.exit(1)
    if not parser.parse_args().check:
        for path, text in pages().items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
