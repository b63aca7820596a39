"""Two commands that start one home's cluster at the same time; Spark is a program that does nothing."""

import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from tests.conftest import free_ports

from fleetlake.runtime import spark_cluster
from fleetlake.runtime.spark_cluster import SparkCluster
from fleetlake.runtime.spark_cluster_state import WorkerSize


def test_one_starts_its_master_and_the_other_finds_it_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "spark-class"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
    program.chmod(0o700)
    looked = threading.Barrier(2)

    def require_free(port: int, *, command: str) -> None:
        with suppress(threading.BrokenBarrierError):
            looked.wait(1)  # both are here at once, if nothing keeps one of them waiting

    monkeypatch.setattr(spark_cluster, "require_free", require_free)
    monkeypatch.setattr(spark_cluster, "_pyspark_folder", lambda: tmp_path)
    monkeypatch.setattr(spark_cluster, "java_for_spark", lambda: SimpleNamespace(home=tmp_path))
    monkeypatch.setattr(spark_cluster, "ask_master", lambda web_port: {"status": "ALIVE", "workers": [], "activeapps": []})
    cluster = SparkCluster(tmp_path / "home", port := free_ports(), port + 1)
    started: list[list[str]] = []
    threads = [threading.Thread(target=lambda: started.append(cluster.start(0, WorkerSize())[0])) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert sorted(started) == [[], ["master"]]
        assert [one.pid for one in masters(cluster)] == [cluster.state().pid]
        assert cluster.stop()
        assert not masters(cluster)
    finally:
        for process in masters(cluster):
            process.kill()


def masters(cluster: SparkCluster) -> list[psutil.Process]:
    mark = str(cluster.folder / "master.properties")
    return [one for one in psutil.process_iter(["cmdline"]) if mark in (one.info["cmdline"] or []) and one.status() != "zombie"]
