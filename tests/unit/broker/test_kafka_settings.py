"""How a client is configured: secrets by reference, and what is said when one leads nowhere."""

from pathlib import Path

import pytest

from fleetlake.broker.settings import KafkaSettings
from fleetlake.foundation.errors import BadInput


def test_properties_are_passed_on_and_references_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "password").write_text("from a file\n")
    monkeypatch.setenv("KAFKA_USER", "from the environment")
    properties = {"security.protocol": "SASL_SSL", "sasl.username": "env:KAFKA_USER", "sasl.password": f"file:{tmp_path}/password"}
    settings = KafkaSettings("a:1,b:2", properties)
    config = settings.client_config()
    assert config["bootstrap.servers"] == "a:1,b:2"
    assert config["security.protocol"] == "SASL_SSL"
    assert (config["sasl.username"], config["sasl.password"]) == ("from the environment", "from a file")
    assert "from" not in str(settings)


@pytest.mark.parametrize("reference", ["env:FLEETLAKE_TEST_NOT_SET", "file:/nowhere/at/all"])
def test_a_reference_that_leads_nowhere_is_named(reference: str) -> None:
    with pytest.raises(BadInput, match=r"kafka\.properties\.sasl\.password"):
        KafkaSettings("a:1", {"sasl.password": reference}).client_config()
