"""The generated pages are current, and every command's help has an example."""

import re
from pathlib import Path

import pytest
from docs.generate import FOLDER, commands, pages, stale

from fleetlake.cli.command_line import COMMANDS
from fleetlake.cloud.snowflake.files import migration_files


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.name)
def test_the_generated_pages_are_current(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == pages()[path], "run: make docs"
    assert path not in stale()


def test_a_page_that_differs_is_stale(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("docs.generate.FOLDER", tmp_path)
    (tmp_path / "cli.md").write_text("old")
    assert {path.name for path in stale()} == {"tables.md", "cli.md"} | {Path(name).name for name in migration_files()}


@pytest.mark.parametrize(("name", "text"), [(name, command.help) for name, command, _ in commands()])
def test_every_command_has_an_example_of_itself(name: str, text: str) -> None:
    own = name.removeprefix("fleetlake").strip()
    example = rf"^Example: .*\bfleetlake .*\b{own}"
    assert re.search(example, text, re.MULTILINE), f"{name} --help has no line `Example: ... fleetlake ... {own}`"


def test_every_command_is_on_the_page() -> None:
    page = (FOLDER / "cli.md").read_text(encoding="utf-8")
    for name in COMMANDS:
        assert f"\n## fleetlake {name}\n" in page
    assert "\n## fleetlake contracts export\n" in page
    assert page.count("\nCommands:\n") == sum(hasattr(command, "list_commands") for _, command, _ in commands())
