"""fleetlake contracts check: what it prints and ends with."""

import json
from pathlib import Path

import pytest

from fleetlake.cli.main import main


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["fleetlake", "contracts", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Path:
    assert run(monkeypatch, "export", "--format", "json-schema", "--out", str(tmp_path / "old")) == 0
    capsys.readouterr()
    return tmp_path / "old"


def altered(folder: Path, maximum: float, **more: object) -> Path:
    file = folder / "gps_data.schema.json"
    schema = json.loads(file.read_text())
    schema["properties"]["speed"] |= {"maximum": maximum, **more}
    made = folder.parent / "gps.json"
    made.write_text(json.dumps(schema))
    return made


def test_compatible_in_one_order(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], exported: Path) -> None:
    old = exported / "gps_data.schema.json"
    assert run(monkeypatch, "check", str(old), str(altered(exported, 400))) == 0
    assert capsys.readouterr().out.splitlines() == [
        "gps_data speed: maximum 300 -> 400 [backward]",
        "    records of OLD in the new lake: accepted",
        "    records of NEW in the old lake: rejected where it does not keep the old rule (out_of_range); row and bytes are kept "
        "in bronze",
        "    tables: unchanged",
        "backward: change the lake first, then the producers",
    ]


def test_breaking(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], exported: Path) -> None:
    new = altered(exported, 300, **{"x-unit": "mph"})
    assert run(monkeypatch, "check", str(exported / "gps_data.schema.json"), str(new), "--json") == 1
    told = capsys.readouterr()
    document = json.loads(told.out)
    assert (document["class"], [found["class"] for found in document["differences"]]) == ("breaking", ["breaking"])
    assert document["differences"][0]["change"] == "unit km/h -> mph"
    assert "gps_data speed" in told.err


def test_this_version_and_whole_folders(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], exported: Path
) -> None:
    assert run(monkeypatch, "check", str(exported)) == 0
    assert run(monkeypatch, "check", str(exported), str(exported)) == 0
    assert capsys.readouterr().out == "the contracts are the same\n" * 2


def test_what_is_no_contract(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], exported: Path) -> None:
    (exported.parent / "empty").mkdir()
    (exported.parent / "text").write_text("no JSON")
    for name in ("empty", "text", "absent"):
        assert run(monkeypatch, "check", str(exported), str(exported.parent / name)) == 2
        assert name in capsys.readouterr().err
    (exported / "copy.schema.json").write_text((exported / "gps_data.schema.json").read_text())
    assert run(monkeypatch, "check", str(exported)) == 2
    assert "gps_data has two contracts" in capsys.readouterr().err
