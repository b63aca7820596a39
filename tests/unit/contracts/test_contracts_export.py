"""fleetlake contracts export: the same documents on stdout and as files."""

import json
from pathlib import Path

import pytest

from fleetlake.cli.main import main
from fleetlake.contracts.events import EVENTS
from fleetlake.contracts.json_schema import json_schema
from fleetlake.contracts.reference import markdown_reference


def export(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["fleetlake", "contracts", "export", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_to_stdout(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(monkeypatch, "--format", "json-schema") == 0
    assert json.loads(capsys.readouterr().out) == {event.topic: json_schema(event) for event in EVENTS}
    assert export(monkeypatch, "--format", "asyncapi") == 0
    assert len(json.loads(capsys.readouterr().out)["channels"]) == 5
    assert export(monkeypatch, "--format", "markdown") == 0
    assert capsys.readouterr().out == markdown_reference()


def test_to_a_folder(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "new" / "schemas"
    for form in ("json-schema", "asyncapi", "markdown"):
        assert export(monkeypatch, "--format", form, "--out", str(folder)) == 0
    written = sorted(path.name for path in folder.iterdir())
    assert written == sorted(["asyncapi.json", "tables.md", *(f"{event.topic}.schema.json" for event in EVENTS)])
    assert json.loads((folder / "gps_data.schema.json").read_text())["title"] == "gps_data"
    assert {Path(line).name for line in capsys.readouterr().out.splitlines()} == set(written)


def test_a_folder_that_can_not_be_made(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert export(monkeypatch, "--format", "markdown", "--out", str(tmp_path / "file")) == 2
    assert "can't write" in capsys.readouterr().err


def test_an_unknown_format(monkeypatch: pytest.MonkeyPatch) -> None:
    assert export(monkeypatch, "--format", "yaml") == 2
