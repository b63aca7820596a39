"""What lies in the working folder decides nothing that matters, unless only the user and root could have put it there."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from fleetlake.config.settings import ENV_CONFIG, Overrides, Settings, load
from fleetlake.config.trust import distrust, require_trusted
from fleetlake.foundation.errors import BadInput

STRANGER = 54_321
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user; those by mode run")
RISKY = [
    'home = "/tmp/x"',
    "[kafka]\nport = 1",
    '[kafka]\nbootstrap_servers = "h:1"',
    '[kafka.properties]\n"plugin.library.paths" = "x"',
    '[kafka.properties]\n"ssl.engine.location" = "x"',
    '[kafka.properties]\n"not.invented.yet" = "x"',
    '[kafka.properties]\n"client.id" = "file:/etc/hostname"',
    '[lake.properties]\n"py-io-impl" = "x.Y"',
    '[lake.properties]\nuri = "http://h"',
    '[lake.properties]\n"header.X" = "env:HOME"',
    '[spark]\nmaster = "spark://h:1"',
    '[spark]\ncheckpoints = "s3a://h"',
    '[spark.properties]\n"spark.driver.extraJavaOptions" = "-javaagent:x"',
    '[spark.properties]\n"spark.plugins" = "x"',
    '[transform]\nroads = "/etc/passwd"',
    '[transform]\nplaces = "../../secret.csv"',
    '[transform]\ngeofences = "/dev/zero"',
    '[aws]\ningest_principal = "arn:aws:iam::x:role/y"',
    '[snowflake]\nconnection = "x"',
]
HARMLESS = "[transform]\nlateness_s = 5\n[ingest]\nflush_rows = 5\n[kafka]\npartitions = 5\n[spark]\ntrigger_s = 5\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, which others may write to."""
    made = tmp_path / "shared"
    made.mkdir()
    made.chmod(0o777)
    monkeypatch.chdir(made)
    return made


@pytest.mark.parametrize("text", RISKY)
def test_a_file_that_others_may_have_written_sets_nothing_that_matters(folder: Path, text: str) -> None:
    file = folder / "fleetlake.toml"
    file.write_text(text)
    with pytest.raises(
        BadInput, match=r"shared can be written by others \(mode 0777\); at fleetlake\.toml; allowed: .*--config"
    ) as caught:
        load(Overrides())
    name = re.sub(r'[\[\]"]|= .*', "", text.replace("]\n", ".")).strip()
    assert f"{name} may load code" in str(caught.value)
    assert load(Overrides(file=file)).sources  # named
    folder.chmod(0o755)
    assert load(Overrides()).sources


def test_naming_it_in_the_environment_is_naming_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "other.toml").write_text("[kafka]\nport = 7\n")
    monkeypatch.setenv(ENV_CONFIG, "other.toml")
    assert load(Overrides()).settings.kafka.port == 7


def test_numbers_are_taken_from_anybody_and_so_is_a_profile(folder: Path) -> None:
    (folder / "fleetlake.toml").write_text(HARMLESS + "[profile.fast.ingest]\nflush_rows = 6\n[profile.bad.kafka]\nport = 1\n")
    assert load(Overrides(profile="fast")).settings.ingest.flush_rows == 6
    with pytest.raises(BadInput, match=r"kafka\.port may load code"):
        load(Overrides(profile="bad"))


def test_no_secret_of_the_environment_goes_to_a_server_that_a_found_file_names(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.0)
        (folder / "fleetlake.toml").write_text(f'[kafka]\nbootstrap_servers = "127.0.0.1:{listener.getsockname()[1]}"\n')
        environment = {name: text for name, text in os.environ.items() if not name.startswith("FLEETLAKE")}
        login = {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanisms": "PLAIN",
            "sasl.username": "u",
            "sasl.password": "env:USER",
        }
        environment |= {"FLEETLAKE__KAFKA__PROPERTIES": json.dumps(login), "USER": "u"}
        command = [sys.executable, "-m", "fleetlake.cli.main", "status"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
        with pytest.raises(BlockingIOError):
            listener.accept()  # nobody came
    assert done.returncode == 2
    assert done.stderr.startswith("error: kafka.bootstrap_servers may load code, send secrets or move data, and ")


@pytest.mark.parametrize(
    ("where", "mode", "fault"),
    [
        ("", 0o755, ""),
        ("", 0o700, ""),
        ("", 0o1777, ""),  # as /tmp: others can't put another file in the place of ours
        ("", 0o777, "can be written by others"),
        ("..", 0o777, "can be written by others"),
        ("..", 0o1777, ""),
        ("f", 0o666, "can be written by others"),
        ("f", 0o644, ""),
    ],
)
def test_each_folder_on_the_way_counts(tmp_path: Path, where: str, mode: int, fault: str) -> None:
    file = tmp_path / "a" / "b" / "f"
    file.parent.mkdir(parents=True)
    file.touch()
    (file.parent / where).chmod(mode)
    assert fault in distrust(file)
    assert bool(fault) == bool(distrust(file))


def test_links_are_followed(tmp_path: Path) -> None:
    for name in ("open", "closed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").touch()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "closed" / "link").symlink_to("../open/f")
    (tmp_path / "closed" / "folder").symlink_to(tmp_path / "open")
    (tmp_path / "closed" / "good").symlink_to("../closed/f")
    (tmp_path / "closed" / "round").symlink_to("round")
    assert "open can be written" in distrust(tmp_path / "closed" / "link")
    assert "open can be written" in distrust(tmp_path / "closed" / "folder" / "f")
    assert distrust(tmp_path / "closed" / "good") == ""
    assert "too many links" in distrust(tmp_path / "closed" / "round")
    assert "can't be looked at" in distrust(tmp_path / "absent")


@as_root
@pytest.mark.parametrize("where", ["", "f"])
def test_what_belongs_to_another_user_is_not_believed(tmp_path: Path, where: str) -> None:
    file = tmp_path / "a" / "f"
    file.parent.mkdir()
    file.parent.chmod(0o1777)
    file.touch()
    os.chown(file.parent / where, STRANGER, 0)
    assert distrust(file).endswith("belongs to the user 54321")


@as_root
def test_a_group_counts_as_others_if_it_has_other_members(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.touch()
    file.chmod(0o664)
    assert distrust(file) == ""  # root's own group
    os.chown(file, 0, 1)
    assert "(mode 0664)" in distrust(file)


@as_root
def test_the_state_folder_of_another_user_is_not_used_unless_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    home = tmp_path / ".fleetlake"
    home.mkdir()
    assert load(Overrides()).settings.home == Path(".fleetlake")
    os.chown(home, STRANGER, 0)
    with pytest.raises(BadInput, match=r"state folder was found, not named, and belongs to the user 54321; at .*--home DIR"):
        load(Overrides())
    assert load(Overrides(home=Path(".fleetlake"))).settings.home == Path(".fleetlake")


def test_what_pyiceberg_would_read_of_the_folder_is_not_believed_either(folder: Path) -> None:
    (folder / ".pyiceberg.yaml").write_text("catalog:\n  local:\n    py-io-impl: x.Y\n")
    with pytest.raises(BadInput, match=r"at \.pyiceberg\.yaml"):
        load(Overrides())
    folder.chmod(0o755)
    load(Overrides())


def test_no_setting_that_names_a_file_or_folder_is_harmless(folder: Path) -> None:
    sections = {name: field.default for name, field in Settings.model_fields.items()}
    for section, values in sections.items():
        for name, field in getattr(type(values), "model_fields", {}).items():
            if "Path" in str(field.annotation):
                with pytest.raises(BadInput):
                    require_trusted(folder / "fleetlake.toml", [f"{section}.{name}"], hint="")


def test_what_pyiceberg_would_read_of_the_folder_is_judged_before_it_is_read(folder: Path) -> None:
    """It reads the file when it is imported, and ends with an error of its own for one that is broken."""
    (folder / ".pyiceberg.yaml").write_text("a: {b\n")
    for command in (["query", "SELECT 1"], ["status"], ["doctor"], ["erase", "--device", "x"], ["contracts", "export"]):
        done = subprocess.run(
            [sys.executable, "-m", "fleetlake.cli.main", *command], capture_output=True, text=True, check=False, timeout=60
        )
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), command
        assert done.stderr.startswith("error: what PyIceberg reads there may load code")
