"""No account id, key or external id in any committed file."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HASHES = (".lock",)  # nothing but digests in there
PATTERNS = {
    "access key": re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    "account in an ARN": re.compile(r"\barn:aws[\w-]*:[\w-]*:[\w-]*:\d{12}\b"),
    "account id": re.compile(r"(?i)account[\w .'\"=:-]{0,20}\b\d{12}\b"),
    "registry of an account": re.compile(r"\b\d{12}\.dkr\.ecr\b"),
    "private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    "external id of Snowflake": re.compile(r"\b[A-Z0-9]{5,}_SFCRole=\d+_\S{8,}"),
}


def committed() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file() and path.suffix not in HASHES]


def found_in(text: str) -> list[str]:
    return [what for what, pattern in PATTERNS.items() if pattern.search(text)]


def test_no_committed_file_has_one() -> None:
    files = committed()
    assert len(files) > 200
    seen = {str(path.relative_to(ROOT)): found_in(path.read_text("utf-8", errors="ignore")) for path in files}
    assert {name: what for name, what in seen.items() if what} == {}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("AKIA" + "IOSFODNN7EXAMPLE", ["access key"]),
        ("arn:aws:iam::" + "0" * 12 + ":role/x", ["account in an ARN"]),
        ("account_id = '" + "1" * 12 + "'", ["account id"]),
        ("0" * 12 + ".dkr.ecr.eu-west-2.amazonaws.com", ["registry of an account"]),
        ("-----BEGIN RSA " + "PRIVATE KEY-----", ["private key"]),
        ("ABC12345_" + "SFCRole=2_" + "abcdefgh1234=", ["external id of Snowflake"]),
    ],
)
def test_what_would_be_found(text: str, what: list[str]) -> None:
    assert found_in(text) == what
