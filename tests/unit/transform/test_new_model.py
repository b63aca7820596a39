"""docs/models.md: a new model is a contract and one SQL file, incremental without a line more."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from test_incremental_gold import add, lake  # noqa: F401  # a fixture
from transform_rows import T0, fix

from fleetlake.contracts import gold
from fleetlake.contracts.events import GPS
from fleetlake.contracts.positions import POSITIONS
from fleetlake.contracts.table import Table
from fleetlake.lake.catalog import Lake
from fleetlake.transform import models
from fleetlake.transform.derived import DerivedCounts, refresh_derived
from fleetlake.transform.native import native_engine
from fleetlake.transform.settings import TransformSettings

PAGE = Path(__file__).parents[3] / "docs" / "models.md"
SETTINGS = TransformSettings(threads=1)


def blocks(language: str) -> str:
    (block,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return str(block)


def test_the_page_shows_it_in_under_20_lines() -> None:
    assert len((blocks("python") + blocks("sql")).splitlines()) < 20


def test_a_new_model_is_a_contract_and_a_file(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    names = dict(vars(gold))
    exec(blocks("python"), names)  # noqa: S102  # the page's own code
    table: Table = names["NIGHT_DRIVING"]
    (tmp_path / "models" / "gold").mkdir(parents=True)
    (tmp_path / "models" / "gold" / "night_driving.sql").write_text(blocks("sql"))
    monkeypatch.setattr(models, "FOLDERS", (tmp_path / "models", *models.FOLDERS))
    lake.ensure([table])

    def refresh(of: Table) -> DerivedCounts:
        return refresh_derived(lake, of, SETTINGS, partial(native_engine, SETTINGS), full=False)

    def way(start_s: float) -> list[dict[str, object]]:
        return [fix(start_s + at, 60.0, latitude=52.0 + (start_s + at) * 1e-5) for at in range(0, 60, 3)]

    night_s = timedelta(hours=15).total_seconds()  # T0 is 08:00 UTC
    add(lake, GPS, [*way(0), *way(night_s)])
    refresh(POSITIONS)
    assert refresh(table).added == 1
    (row,) = lake.table(table.name).scan().to_arrow().to_pylist()
    assert (row["device_id"], row["start_time"]) == ("v1", T0.replace(hour=0))
    assert row["distance_km"] == pytest.approx(57e-5 * 111.195, abs=1e-4)
    add(lake, GPS, way(night_s + 86_400))
    refresh(POSITIONS)
    assert refresh(table) == DerivedCounts(table.name, devices=1, computed=1, added=1)
