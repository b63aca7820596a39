"""What the start of a cluster empties is its own."""

from pathlib import Path

import pytest

from fleetlake.runtime.spark_cluster import SPILLED, SparkCluster


@pytest.mark.parametrize("name", ["recovery", SPILLED])
def test_a_folder_that_is_a_link_is_not_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis").touch()
    cluster = SparkCluster(tmp_path / "home", 1, 2)
    cluster.folder.mkdir(parents=True)
    (cluster.folder / name).symlink_to(tmp_path / "precious")
    monkeypatch.setattr("fleetlake.runtime.spark_cluster.require_free", lambda port, *, command: None)
    monkeypatch.setattr(SparkCluster, "_start", lambda *arguments: None)
    cluster._start_master(anew=True)
    assert (tmp_path / "precious" / "thesis").exists()
    assert (cluster.folder / "recovery").is_dir()
