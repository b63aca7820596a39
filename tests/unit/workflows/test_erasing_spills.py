"""Erasure searches every folder of spills of the user's, and names the one that it does not search."""

from __future__ import annotations

import html
import json
import tempfile
from pathlib import Path
from typing import cast

import pytest

from fleetlake.config.settings import KafkaSection, Settings
from fleetlake.maintain.erase import Erasure
from fleetlake.runtime.spill import ROOT, spill_folder, temporary_root
from fleetlake.workflows.erase import ErasureReport, erase

DEVICE = "quokka-7"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose lake was searched, beside a temporary folder where another user has taken the name of ours."""
    for name in ("home", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    temporary_root().symlink_to(tmp_path)
    monkeypatch.setattr("fleetlake.config.wiring.open_existing_lake", lambda settings, *, to_write: None)
    monkeypatch.setattr("fleetlake.workflows.erase.count_device", lambda lake, device: cast(Erasure, None))
    monkeypatch.setattr("fleetlake.workflows.erase.PROBE_S", 0.2)
    return tmp_path / "home"


def searched(home: Path) -> ErasureReport:
    return erase(Settings(home=home, kafka=KafkaSection(bootstrap_servers="127.0.0.1:1")), DEVICE, dry_run=True)


def test_a_spill_where_another_user_took_the_name_is_searched(home: Path) -> None:
    token = ROOT.set(None)
    with spill_folder("query") as folder:
        (folder / "rows.tmp").write_bytes(b"\0quokka-7\0")
        (spill,) = searched(home).spills
    ROOT.reset(token)
    assert (spill.folder, spill.holders) == (str(folder), (str(folder / "rows.tmp"),))


def test_a_folder_of_spills_that_is_not_the_users_own_is_named(home: Path) -> None:
    assert not any("spill" in place for place in searched(home).outside)
    (home / "spill").symlink_to("elsewhere")
    report = searched(home)
    assert (
        f"{home}/spill, which is a link, belongs to another user or is open to others: what their commands spill" in report.outside
    )
    assert report.spills == ()


def test_a_report_in_the_home_is_named_however_it_spells_the_id(home: Path) -> None:
    """As `report --csv`, a page and JSON lines have it."""
    device = "say\"van & <77>'s"
    spellings = {
        "trips.csv": '"say""van & <77>\'s",1\n',
        "trips.html": f"<td>{html.escape(device)}</td>",
        "x.json": json.dumps(device),
    }
    for name, text in spellings.items():
        (home / name).write_text(text)
    (home / "another.csv").write_text('"say""van & <770>",1\n')
    report = erase(Settings(home=home, kafka=KafkaSection(bootstrap_servers="127.0.0.1:1")), device, dry_run=True)
    assert report.elsewhere == tuple(str(home / name) for name in sorted(spellings))
