"""The command line as a user meets it."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import free_ports

from fleetlake.cli.command_line import COMMANDS, cli


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLEETLAKE")}
    command = [sys.executable, "-m", "fleetlake.cli.main", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_help_names_every_command_and_imports_none(tmp_path: Path) -> None:
    program = "import sys\nfrom fleetlake.cli.main import main\ntry:\n main()\nexcept SystemExit:\n print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", program, "--help"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    text, modules = out.rsplit("\n", 2)[0], set(out.split())
    assert all(name in text for name in COMMANDS)
    heavy = {"numpy", "pyarrow", "duckdb", "pyiceberg", "confluent_kafka", "pydantic"}
    assert not heavy & modules
    assert not any(module.startswith("fleetlake.cli.commands.") for module in modules)


def test_every_command_has_help() -> None:
    group = cli()
    for name in COMMANDS:
        assert "Example:" in group.get_command(None, name).help


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nope"], "No such command 'nope'"),
        (["--set", "kafka.prt=1", "status"], "error: there is no setting kafka.prt"),
        (["simulate", "--vehicles", "0"], "error: 0 vehicles; allowed: 1 to"),
        (["simulate", "--faults", "x=1"], "error: --faults x=1 is not understood; allowed: duplicates, late, poison"),
        (["query", "SELEC 1"], "error: "),
        (["snapshots", "gold.tirps"], "error: no lake at .fleetlake; try: fleetlake ingest makes it, or fleetlake --home DIR"),
        (["report", "trips"], "error: no lake at .fleetlake"),
        (["quarantine"], "error: no lake at .fleetlake"),
        (["verify"], "error: no lake at .fleetlake"),
        (["query", "SELECT 1", "--json", "--csv"], "error: --json and --csv together; allowed: one of them"),
        (["report", "trips", "--json", "--csv"], "error: --json and --csv together"),
        (["report", "trips", "--from", "2026-01-02", "--to", "2026-01-01"], "error: --from 2026-01-02 is later than --to"),
        (["replay", "absent.csv"], "error: "),
        (["query", "--home", "x", "SELECT 1"], "error: --home goes before the command; try: fleetlake --home VALUE COMMAND"),
        (["config", "show", "--set", "kafka.port=1"], "error: --set goes before the command"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_2(tmp_path: Path, arguments: list[str], words: str) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_an_unexpected_failure_keeps_its_details_in_a_log(tmp_path: Path) -> None:
    program = (
        "import fleetlake.cli.commands.config as c\n"
        "import fleetlake.config.wiring as w\n"
        "def boom(): raise RuntimeError('boom')\n"
        "w.load_all = boom\n"
        "from fleetlake.cli.main import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "config", "show"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 70
    assert done.stderr.startswith("error: unexpected RuntimeError: boom; the details are in .fleetlake/logs/crash-")
    assert done.stderr.count("\n") == 1
    (log,) = (tmp_path / ".fleetlake" / "logs").iterdir()
    assert "Traceback" in log.read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        [b"erase", b"--device=veh\xff1234"],
        [b"query", b"SELECT '\xff'"],
        [b"report", b"trips", b"--device", b"\xff"],
        [b"--profile", b"\xff", b"status"],
        [b"--set", b"lake.name=\xff", b"status"],
        [b"--home", b"\xff", b"status"],
        [b"\xff"],
    ],
)
def test_an_argument_that_is_not_utf8_is_refused(tmp_path: Path, arguments: list[bytes]) -> None:
    command = [sys.executable.encode(), b"-X", b"utf8", b"-m", b"fleetlake.cli.main", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    number = next(number for number, argument in enumerate(arguments, 1) if b"\xff" in argument)
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: not UTF-8: ")
    assert done.stderr.endswith(
        b"\\udcff"
        + arguments[number - 1].rpartition(b"\xff")[2]
        + b"; at argument %d; allowed: UTF-8, also in names of files\n" % number
    )
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_that_is_found_in_the_working_folder_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fleetlake.toml")
    command = [sys.executable, "-m", "fleetlake.cli.main", "config", "show"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr.partition(";")[0]) == (2, "error: the configuration found here is no file")


@pytest.mark.parametrize("file", ["", 'home = "elsewhere"\n'])
def test_the_log_is_below_the_home_that_the_settings_name(tmp_path: Path, file: str) -> None:
    program = (
        "import fleetlake.config.settings as s\n"
        "def boom(loaded): raise RuntimeError('boom')\n"
        "s.describe = boom\nfrom fleetlake.cli.main import main\nmain()\n"
    )
    (tmp_path / "fleetlake.toml").write_text(file)
    environment = {name: text for name, text in os.environ.items() if not name.startswith("FLEETLAKE")}
    environment |= {} if file else {"FLEETLAKE__HOME": "elsewhere"}
    command = [sys.executable, "-c", program, "config", "show"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 70
    assert "the details are in elsewhere/logs/crash-" in done.stderr
    assert not (tmp_path / ".fleetlake").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            b"\xff\xfe[kafka]\n",
            "the configuration is not UTF-8: invalid start byte at byte 0; at fleetlake.toml; try: save it as UTF-8",
        ),
        (b"a = " + b"[" * 5000, "the configuration is not TOML"),
        (b"profile = 1\n", "profile has a value; at fleetlake.toml; allowed: sections [profile.NAME]"),
        (b"profile.x = 1\n", "profile has a value; at fleetlake.toml; allowed: sections [profile.NAME]"),
    ],
)
def test_a_configuration_that_can_not_be_read_is_the_users_to_mend(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "fleetlake.toml").write_bytes(content)
    done = run("--profile", "x", "config", "show", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert words in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["fleetlake.toml"]


@pytest.mark.parametrize("command", [["up"], ["ingest", "--once"], ["transform"], ["simulate", "--to", "ndjson"], ["status"]])
@pytest.mark.parametrize("home", ["/proc/foo", "/etc/passwd", "file/below"])
def test_a_home_that_is_none_is_one_clear_line(tmp_path: Path, home: str, command: list[str]) -> None:
    (tmp_path / "file").touch()
    done = run("--home", home, "--set", f"kafka.port={free_ports()}", *command, cwd=tmp_path)
    assert done.returncode == (1 if command == ["status"] else 2)
    assert done.stderr.count("\n") == (0 if command == ["status"] else 1)
    assert "Traceback" not in done.stderr
    assert "unexpected" not in done.stderr


def test_a_file_where_the_broker_has_its_folder(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "kafka").touch()
    done = run("--home", "home", "--set", f"kafka.port={free_ports()}", "up", cwd=tmp_path)
    assert done.returncode == 2
    assert "error: the home folder can't be used: File exists; at" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("error", ["EOFError", "BrokenPipeError"])
def test_what_a_library_raises_is_no_doing_of_the_user(tmp_path: Path, error: str) -> None:
    program = (
        "import fleetlake.config.wiring as w\n"
        f"def boom(): raise {error}('in a file')\n"
        "w.load_all = boom\nfrom fleetlake.cli.main import main\nmain()\n"
    )
    arguments = [sys.executable, "-c", program, "config", "show"]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 70
    assert done.stderr.startswith(f"error: unexpected {error}: in a file; the details are in .fleetlake/logs/crash-")


@pytest.mark.parametrize(
    "arguments",
    [
        ["config", "show"],
        ["replay", "x"],
        ["--home", "HOME", "verify"],
        ["--home", "HOME", "query", "SELECT 1"],
        ["--home", "HOME", "transform"],
    ],
)
def test_a_working_folder_that_was_deleted_is_said(tmp_path: Path, arguments: list[str]) -> None:
    home = tmp_path / "home"
    done = run_in_deleted_folder(tmp_path, *(str(home) if one == "HOME" else one for one in arguments))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: the working folder was deleted; try: the same in a folder that is there, cd DIR\n"
    assert list(tmp_path.iterdir()) == []  # no log of a crash


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--help"], 0), (["--version"], 0), (["--home", "/nowhere", "status"], 1), (["\udcff"], 2)]
)
def test_what_needs_no_working_folder_goes_on_without_it(tmp_path: Path, arguments: list[str], code: int) -> None:
    done = run_in_deleted_folder(tmp_path, *arguments, environment={"FLEETLAKE__KAFKA__PORT": str(free_ports())})
    assert done.returncode == code, done.stderr
    assert "working folder" not in done.stderr
    assert "unexpected" not in done.stderr


def run_in_deleted_folder(
    tmp_path: Path, *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    (folder := tmp_path / "deleted").mkdir()
    program = f"import os\nos.rmdir({str(folder)!r})\nfrom fleetlake.cli.main import main\nmain()\n"
    variables = os.environ | {"TMPDIR": str(tmp_path)} | (environment or {})
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=60)


IMPORTED = ("typer", "fleetlake.cli.command_line", "fleetlake.cli.commands.config", "pydantic", "fleetlake.config.masking")


@pytest.mark.parametrize("module", IMPORTED)
def test_an_interruption_while_modules_are_imported_is_no_traceback(tmp_path: Path, module: str) -> None:
    program = (
        "import os, signal, sys, importlib.abc\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored where the tests run in the background
        "class Interrupter(importlib.abc.MetaPathFinder):\n"
        " def find_spec(self, name, path, target=None):\n"
        f"  if name == {module!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupter())\n"
        "from fleetlake.cli.main import main\nmain()\n"
    )
    command = [sys.executable, "-c", program, "--set", "no.such=1", "config", "show"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr in ("", "error: interrupted\n")


def test_an_interruption_that_a_library_calls_a_failed_import_is_one(tmp_path: Path) -> None:
    program = (
        "import fleetlake.config.wiring as w\n"
        "def boom(): raise ImportError('while initializing the extension') from KeyboardInterrupt()\n"
        "w.load_all = boom\nfrom fleetlake.cli.main import main\nmain()\n"
    )
    command = [sys.executable, "-c", program, "config", "show"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "error: interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_a_reader_of_the_output_that_left_is_no_failure(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "fleetlake.cli.main", "contracts", "export", "--format", "markdown"]
    done = subprocess.run(command, cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert done.returncode in (0, 1)
    assert "unexpected" not in done.stderr


def test_a_failure_whose_log_can_not_be_written(tmp_path: Path) -> None:
    program = (
        "import sys, tempfile\nimport fleetlake.config.wiring as w\n"
        "tempfile.tempdir = '/proc/none'\n"
        "def boom(): raise RuntimeError('boom at postgresql://u:PASSWORD@h/db')\n"
        "w.load_all = boom\nfrom fleetlake.cli.main import main\nmain()\n"
    )
    arguments = ["--home", "/proc/foo", "config", "show"]
    done = subprocess.run([sys.executable, "-c", program, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 70
    assert done.stderr == "error: unexpected RuntimeError: boom at postgresql://********@h/db; no folder took the details\n"


def test_the_version(tmp_path: Path) -> None:
    assert run("--version", cwd=tmp_path).stdout.startswith("fleetlake 0.")


def test_doctor_changes_nothing_and_speaks_json(tmp_path: Path) -> None:
    done = run("--set", "kafka.port=1", "doctor", "--json", cwd=tmp_path)
    findings = {finding["what"]: finding for finding in json.loads(done.stdout)}
    assert findings["Python"]["state"] == "ok"
    assert findings["lake"]["advice"]
    assert list(tmp_path.iterdir()) == []
    assert done.returncode == int(any(finding["state"] not in ("ok", "later") for finding in findings.values()))


def test_doctor_calls_a_used_port_taken_and_a_broken_catalog_broken(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "catalog.db").write_bytes(b"no database" * 100)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = run("--home", "home", "--set", f"kafka.port={port}", "doctor", "--json", cwd=tmp_path)
    findings = {finding["what"]: finding for finding in json.loads(done.stdout)}
    assert (findings[f"port {port}"]["state"], findings["lake"]["state"]) == ("taken", "broken")
    assert "doctor" not in findings["lake"]["advice"]
    assert "backup" in findings["lake"]["advice"]
    assert done.returncode == 1


@pytest.mark.parametrize("command", ["up", "status", "verify", "ingest"])
def test_a_mistyped_kafka_property_is_called_that(tmp_path: Path, command: str) -> None:
    (tmp_path / ".fleetlake").mkdir()
    (tmp_path / ".fleetlake" / "catalog.db").touch()
    servers = ["--set", "kafka.bootstrap_servers=127.0.0.1:1", "--set", "kafka.properties.no.such.property=1"]
    done = run(*servers, command, cwd=tmp_path)
    assert done.returncode == 2
    assert 'error: the Kafka client does not take its configuration: No such configuration property: "no.such.prop' in done.stderr
    assert "does not answer" not in done.stderr


def test_hints_and_words_for_a_kafka_that_is_not_ours(tmp_path: Path) -> None:
    port = free_ports()
    foreign = run("--set", f"kafka.bootstrap_servers=127.0.0.1:{port}", "status", cwd=tmp_path)
    ours = run("--set", f"kafka.port={port}", "status", cwd=tmp_path)
    assert (foreign.returncode, ours.returncode) == (1, 1)
    assert f"Kafka on 127.0.0.1:{port}: not reachable" in foreign.stdout
    assert "fleetlake up" not in foreign.stdout
    assert f"embedded Kafka on 127.0.0.1:{port}: not running" in ours.stdout
    assert "try: fleetlake up" in ours.stdout
