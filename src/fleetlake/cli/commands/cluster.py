"""fleetlake cluster: a Spark cluster of local processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fleetlake.runtime.spark_cluster import SparkCluster
    from fleetlake.runtime.spark_cluster_state import ClusterState

app = typer.Typer(add_completion=False, no_args_is_help=True)
LOG_LINES = 20


@app.callback()
def _group() -> None:
    """A Spark standalone cluster on this machine, on the loopback interface, with its state under the home folder.

    Example: fleetlake cluster up --workers 2
    """


@app.command()
def up(
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many have to run; more are left alone.")] = 2,
    cores: Annotated[int, typer.Option(min=1, max=1024, help="Of each worker that has to be started.")] = 1,
    memory: Annotated[str, typer.Option(help="For the executors of each worker that has to be started.")] = "1g",
) -> None:
    """Starts a master and workers and waits until they take jobs. They keep running until `fleetlake cluster down`.

    What runs already is left as it is; a process that has died is brought back. An application takes all cores there are unless
    spark.properties.spark.cores.max says how many, so two at a time need that or they wait for each other.

    Example: fleetlake cluster up --workers 2 --cores 1 --memory 1g
    """
    from fleetlake.runtime.spark_cluster_state import WorkerSize, parse_memory

    started, state = _cluster().start(workers, WorkerSize(cores, parse_memory(memory)))
    print(f"started {', '.join(started)}" if started else "Spark was running already")
    print(f"{len(state.at_work)} workers with {state.cores} cores, {state.web_url}")
    print(f"--master {state.url}")


@app.command()
def down() -> None:
    """Stops the master and all workers, and with them what runs on them. Logs stay.

    Example: fleetlake cluster down
    """
    print("Spark is down" if _cluster().stop() else "Spark was not running")


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False) -> None:
    """Shows the master, the workers and the applications that run. Exit code 1 if the master does not answer.

    Example: fleetlake cluster status --json
    """
    import json
    from dataclasses import asdict

    state = _cluster().state()
    if as_json:
        print(json.dumps(asdict(state) | {"cores": state.cores, "cores_used": state.cores_used}))
    else:
        _print(state)
    if not state.answers:
        raise typer.Exit(1)


@app.command()
def logs(
    name: Annotated[str | None, typer.Argument(help="master, worker-1, ...; without it all of them.")] = None,
    lines: Annotated[int, typer.Option(min=1, help="How many of each log's last lines.")] = LOG_LINES,
) -> None:
    """Shows the last lines of what the master and the workers wrote. Executors write to spark/work under the home folder.

    Example: fleetlake cluster logs worker-1 --lines 50
    """
    from fleetlake.runtime.spark_cluster_state import last_lines

    for path in _cluster().logs(name).values():
        print(f"==> {path}")
        print("\n".join(last_lines(path.read_text(errors="replace"), lines)))


def _cluster() -> SparkCluster:
    from fleetlake.config.wiring import load_settings
    from fleetlake.runtime.spark_cluster import SparkCluster

    settings = load_settings()
    return SparkCluster(settings.home.resolve(), settings.spark.cluster_port, settings.spark.cluster_web_port)


def _print(state: ClusterState) -> None:
    if state.answers:
        print(f"master {state.url}, process {state.pid}, {state.web_url}")
    elif state.pid is not None:
        print(f"master {state.url}, process {state.pid}: does not answer (fleetlake cluster logs master)")
    else:
        print(f"master {state.url}: not running (fleetlake cluster up)")
    for worker in state.workers:
        if worker.pid is None:
            print(f"  {worker.name:<10} not running: fleetlake cluster up brings it back")
        elif worker.takes_jobs:
            print(
                f"  {worker.name:<10} process {worker.pid}, {worker.cores_used} of {worker.cores} cores used, {worker.memory_mb} MB"
            )
        else:
            print(f"  {worker.name:<10} process {worker.pid}, {worker.state}")
    for application in state.applications:
        print(f"  application {application.id} {application.name}: {application.state}, {application.cores} cores")
    if state.answers:
        print(
            f"{len(state.at_work)} workers, {state.cores_used} of {state.cores} cores used, {len(state.applications)} applications"
        )
