"""A profile is changed in place: comments and what is not ours stay."""

from pathlib import Path

import pytest

from fleetlake.config.profiles import save_profile
from fleetlake.foundation.errors import BadInput

VALUES = {("aws", "region"): "eu-west-2", ("lake", "properties", "glue.region"): "eu-west-2"}
KEPT = (
    '# mine\nhome = "x"  # here\n\n[profile.aws.aws]\nregion = "us-east-1" # old\nstack = "trucks"\n\n[profile.other]\nhome = "y"\n'
)


def test_into_no_file(tmp_path: Path) -> None:
    file = tmp_path / "fleetlake.toml"
    assert save_profile(file, "aws", VALUES) == ("aws.region", "lake.properties.glue.region")
    text = file.read_text()
    assert '"glue.region" = "eu-west-2"' in text
    assert save_profile(file, "aws", VALUES) == ()
    assert file.read_text() == text


def test_into_a_file_with_comments(tmp_path: Path) -> None:
    file = tmp_path / "fleetlake.toml"
    file.write_text(KEPT)
    save_profile(file, "aws", {("aws", "region"): "eu-west-2"})
    assert file.read_text() == KEPT.replace('"us-east-1"', '"eu-west-2"')


def test_a_value_of_the_users_stays(tmp_path: Path) -> None:
    file = tmp_path / "fleetlake.toml"
    first = {("ingest", "flush_age_s"): 60.0}
    assert save_profile(file, "aws", {}, unless_set=first) == ("ingest.flush_age_s",)
    file.write_text(file.read_text().replace("60.0", "5.0"))
    assert save_profile(file, "aws", {}, unless_set=first) == ()
    assert "flush_age_s = 5.0" in file.read_text()


@pytest.mark.parametrize("text", ["home = ", "profile = 1\n"])
def test_a_file_that_can_not_be_changed_stays(tmp_path: Path, text: str) -> None:
    file = tmp_path / "fleetlake.toml"
    file.write_text(text)
    with pytest.raises(BadInput):
        save_profile(file, "aws", VALUES)
    assert file.read_text() == text
