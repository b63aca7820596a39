"""Where a setting comes from, and what is said of one that is wrong."""

from pathlib import Path

import pytest

from fleetlake.config.settings import Overrides, describe, load
from fleetlake.config.wiring import bucket_of, region_of
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


def test_no_account_is_shown() -> None:
    account = "1" * 12
    loaded = load(Overrides(assignments=[f"aws.ingest_principal=arn:aws:iam::{account}:role/x"]))
    shown = {name: value for name, value, _, _ in describe(loaded)}
    assert shown["aws.ingest_principal"] == "arn:aws:iam::********:role/x"


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("lake.properties.uri=postgresql://u:PASSWORD@h/db", "postgresql://********@h/db"),
        ("lake.properties.uri=postgresql://u:PASS/W@ORD@h/db", "postgresql://********@h/db"),
        ("lake.properties.uri=http://PASSWORD@h:8181", "http://********@h:8181"),
        ("lake.properties.uri=jdbc:x://h/db?user=u&password=PASSWORD&ssl=on", "jdbc:x://h/db?user=u&password=********&ssl=on"),
        ("lake.properties.adlfs.x=Endpoint=https://h;AccountKey=PASSWORD==;Suffix=s", None),
        ("lake.properties.adlfs.connection-string=PASSWORD", "********"),
        ("lake.properties.header.Authorization=Bearer PASSWORD", "********"),
        ("lake.properties.header.X-Custom=Bearer PASSWORD", "Bearer ********"),
        ("lake.properties.header.X-API-Key=PASSWORD", "********"),
        ("kafka.properties.sasl.oauthbearer.config=principal=PASSWORD", "********"),
        ("kafka.properties.sasl.jaas.config=org.X required PASSWORD;", "********"),
        ("kafka.properties.sasl.kerberos.other.config=PASSWORD", "********"),
        ("kafka.bootstrap_servers=u:PASSWORD@h:9092", "u:PASSWORD@h:9092"),  # no URL, and Kafka would not take it
        ("spark.landing=s3a://id:PASSWORD@bucket/x", "s3a://********@bucket/x"),
        ("spark.properties.spark.driver.extraJavaOptions=-Djavax.keyStorePassword=PASSWORD -Dx=1", None),
        ("spark.properties.spark.hadoop.fs.s3a.access.key=PASSWORD", "********"),
        ("kafka.properties.ssl.keystore.location=/etc/store.pem", "/etc/store.pem"),
        ("kafka.properties.sasl.oauthbearer.config=env:OAUTH", "env:OAUTH"),
        ("kafka.properties.sasl.jaas.config=file:/run/jaas", "file:/run/jaas"),
        ("lake.properties.uri=sqlite:////tmp/a/catalog.db", "sqlite:////tmp/a/catalog.db"),
    ],
)
def test_secrets_of_every_kind_are_masked(assignment: str, value: str | None) -> None:
    name = assignment.partition("=")[0]
    shown = {key: text for key, text, _, _ in describe(load(Overrides(assignments=[assignment])))}[name]
    assert "********" in shown if value is None else shown == value
    assert "PASSWORD" not in shown or "bootstrap" in name


def test_a_secret_of_the_wrong_type_is_not_shown_either(tmp_path: Path) -> None:
    (tmp_path / "fleetlake.toml").write_text('[kafka.properties]\n"sasl.password" = 271828\n')
    with pytest.raises(BadInput, match=r"sasl\.password") as caught:
        load(Overrides())
    assert "271828" not in str(caught.value)


@pytest.mark.parametrize("text", ["[kafak]\nport = 1\n", "[kafak]\n"])
def test_a_section_there_is_none_of_is_said_with_its_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "fleetlake.toml").write_text(text)
    with pytest.raises(BadInput, match=r"no setting kafak; at fleetlake\.toml; allowed: home, kafka"):
        load(Overrides())


def test_an_empty_section_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "fleetlake.toml").write_text("[kafka]\nport = 1001\n[profile.x.kafka]\n")
    assert source_of(Overrides(profile="x"), "kafka.port") == ("1001", "fleetlake.toml")


def test_a_value_where_a_section_belongs_is_said_with_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fleetlake.toml").write_text("kafka = 3\n")
    monkeypatch.setenv("FLEETLAKE__KAFKA__PORT", "1003")
    with pytest.raises(BadInput, match=r"kafka is a section.*at fleetlake\.toml"):
        load(Overrides())


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


GLUE = "lake.properties.type=glue"


@pytest.mark.parametrize(
    ("assignments", "region", "bucket"),
    [
        ([], "", ""),
        (["aws.region=eu-west-2", "aws.bucket=mine"], "eu-west-2", "mine"),
        ([GLUE, "lake.properties.s3.region=eu-west-1", "lake.properties.warehouse=s3://lake/w"], "eu-west-1", "lake"),
        (["aws.region=eu-west-2", "aws.bucket=mine", "lake.properties.s3.region=x", "lake.properties.warehouse=s3://lake/w"],
         "eu-west-2", "mine"),
        (["lake.properties.warehouse=file:///lake/w"], "", ""),
    ],
)  # fmt: skip
def test_region_and_bucket_are_the_lakes_unless_said(
    assignments: list[str], region: str, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    settings = load(Overrides(assignments=assignments)).settings
    assert (region_of(settings), bucket_of(settings)) == (region, bucket)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert region_of(settings) == (region or "us-east-1")
