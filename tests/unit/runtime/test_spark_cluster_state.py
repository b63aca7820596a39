"""What can be seen of a Spark cluster, from its processes and the master's word."""

from typing import Any

import pytest

from fleetlake.foundation.errors import BadInput
from fleetlake.runtime.spark_cluster_state import (
    Application,
    ClusterState,
    in_order,
    last_lines,
    parse_memory,
    read_ports,
    read_properties,
    read_state,
    write_properties,
)


def registration(worker_id: str, state: str = "ALIVE", used: int = 0) -> dict[str, Any]:
    return {"id": worker_id, "state": state, "cores": 2, "coresused": used, "memory": 1024}


def told(*workers: dict[str, Any], status: str = "ALIVE", apps: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return {"workers": list(workers), "activeapps": list(apps), "status": status}


def read(answer: dict[str, Any] | None, **processes: tuple[int | None, str]) -> ClusterState:
    named = {name.replace("_", "-"): process for name, process in processes.items()}
    return read_state(answer, url="spark://127.0.0.1:7", web_url="http://127.0.0.1:8", pid=1, processes=named)


def test_a_worker_is_at_work_when_it_runs_and_the_master_knows_it() -> None:
    state = read(
        told(registration("worker-1-aa", used=1), registration("worker-2-bb")),
        worker_1=(11, "worker-1-aa"),
        worker_2=(12, "worker-2-bb"),
    )
    assert state.answers
    assert state.at_work == {"worker-1", "worker-2"}
    assert (state.cores_used, state.cores) == (1, 4)


@pytest.mark.parametrize(
    ("process", "registered"),
    [
        ((None, "worker-1-aa"), registration("worker-1-aa")),  # killed, and the master has not noticed yet
        ((11, "worker-1-aa"), registration("worker-1-aa", "DEAD")),
        ((11, "worker-1-cc"), registration("worker-1-aa")),  # brought back; what is registered is the one before
        ((11, ""), registration("worker-1-aa")),
    ],
)
def test_a_worker_that_is_not_both_does_not_count(process: tuple[int | None, str], registered: dict[str, Any]) -> None:
    state = read(told(registered), worker_1=process)
    assert state.at_work == set()
    assert state.cores == 0


def test_a_master_that_does_not_answer_or_still_recovers_takes_no_jobs() -> None:
    silent = read(None, worker_1=(11, "worker-1-aa"))
    assert not silent.answers
    assert [worker.state for worker in silent.workers] == ["not registered"]
    assert not read(told(status="RECOVERING")).answers


def test_running_applications_are_told() -> None:
    state = read(told(apps=({"id": "app-1", "name": "ingest", "cores": 2, "state": "RUNNING"},)))
    assert state.applications == (Application("app-1", "ingest", 2, "RUNNING"),)


def test_ports_are_read_from_a_masters_command_line() -> None:
    assert read_ports(["java", "Master", "--host", "127.0.0.1", "--port", "7077", "--webui-port", "8080"]) == (7077, 8080)
    assert read_ports(["java", "--port"]) is None
    assert read_ports([]) is None


def test_memory_is_megabytes_or_gigabytes() -> None:
    assert [parse_memory(text) for text in ("1g", "1536m", "2GB", " 512M ")] == [1024, 1536, 2048, 512]


@pytest.mark.parametrize("text", ["", "1", "1.5g", "-1g", "511m", "1t", "much"])
def test_no_other_memory_is_taken(text: str) -> None:
    with pytest.raises(BadInput, match="for example 1g"):
        parse_memory(text)


def test_properties_are_read_as_they_were_written() -> None:
    properties = {"spark.a": "C:\\work=x", "spark.b": "/home/a b", "spark.c": ""}
    text = write_properties(properties)
    assert "C:\\\\work" in text  # a backslash is an escape there
    assert read_properties(text) == properties


def test_the_last_lines() -> None:
    assert last_lines("a\nb\nc\n", 2) == ["b", "c"]
    assert last_lines("a\n", 5) == ["a"]
    assert last_lines("a\n", 0) == []


def test_the_tenth_worker_comes_behind_the_ninth() -> None:
    assert sorted(["worker-10", "master", "worker-9"], key=in_order) == ["master", "worker-9", "worker-10"]
