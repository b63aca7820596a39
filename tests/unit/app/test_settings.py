"""Where a setting comes from, and what is said of one that is wrong."""

from pathlib import Path

import pytest

from fleetlake.app.settings import Overrides, describe, load
from fleetlake.foundation.errors import BadInput


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def source_of(overrides: Overrides, name: str) -> tuple[str, str]:
    (found,) = [(value, source) for key, value, source, _ in describe(load(overrides)) if key == name]
    return found


def test_flag_over_environment_over_profile_over_file_over_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert source_of(Overrides(), "kafka.port") == ("19092", "default")
    (tmp_path / "fleetlake.toml").write_text("[kafka]\nport = 1001\n[profile.big.kafka]\nport = 1002\n")
    assert source_of(Overrides(), "kafka.port") == ("1001", "fleetlake.toml")
    assert source_of(Overrides(profile="big"), "kafka.port") == ("1002", "fleetlake.toml [profile.big]")
    monkeypatch.setenv("FLEETLAKE__KAFKA__PORT", "1003")
    assert source_of(Overrides(profile="big"), "kafka.port") == ("1003", "FLEETLAKE__KAFKA__PORT")
    assert source_of(Overrides(profile="big", assignments=["kafka.port=1004"]), "kafka.port") == ("1004", "flag")


def test_a_falsy_value_is_a_value(tmp_path: Path) -> None:
    (tmp_path / "fleetlake.toml").write_text("[transform]\nlateness_s = 0\n")
    assert load(Overrides()).settings.transform.lateness_s == 0


def test_names_of_properties_may_have_dots() -> None:
    loaded = load(Overrides(assignments=["kafka.properties.security.protocol=SASL_SSL", "lake.properties.s3.endpoint=http://x"]))
    assert loaded.settings.kafka.properties == {"security.protocol": "SASL_SSL"}
    assert loaded.settings.lake.properties == {"s3.endpoint": "http://x"}


def test_a_secret_is_not_shown_but_its_reference_is() -> None:
    secret, reference = "kafka.properties.sasl.password=hunter2", "lake.properties.s3.secret-access-key=env:AWS_SECRET"
    loaded = load(Overrides(assignments=[secret, reference]))
    shown = {name: value for name, value, _, _ in describe(loaded)}
    assert shown["kafka.properties.sasl.password"] == "********"
    assert shown["lake.properties.s3.secret-access-key"] == "env:AWS_SECRET"
    assert "hunter2" not in str(shown)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (Overrides(assignments=["kafka.prt=1"]), r"no setting kafka\.prt; at flag; allowed: bootstrap_servers, port"),
        (Overrides(assignments=["kafak.port=1"]), r"no setting kafak; .*allowed: home, kafka, lake"),
        (Overrides(assignments=["kafka.port=x"]), r"kafka\.port: .*valid integer.*not 'x'; at flag"),
        (Overrides(assignments=["kafka.port=0"]), r"kafka\.port: .*greater than or equal to 1"),
        (Overrides(assignments=["kafka.port"]), r"--set kafka\.port has no ="),
        (Overrides(profile="big"), "no fleetlake.toml to read a profile from"),
        (Overrides(file=Path("absent.toml")), "can't be read: No such file"),
    ],
)
def test_what_is_said_of_a_wrong_setting(overrides: Overrides, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        load(overrides)


def test_a_broken_file_and_an_unknown_profile_are_named(tmp_path: Path) -> None:
    (tmp_path / "fleetlake.toml").write_text("[kafka\n")
    with pytest.raises(BadInput, match=r"not TOML.*at fleetlake\.toml"):
        load(Overrides())
    (tmp_path / "fleetlake.toml").write_text("[profile.small]\n")
    with pytest.raises(BadInput, match=r"no profile big; at fleetlake\.toml; allowed: small"):
        load(Overrides(profile="big"))
