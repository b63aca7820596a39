"""Which Java is taken, and what is said where none will do."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fleetlake.cli.main import main
from fleetlake.foundation.errors import Missing
from fleetlake.runtime import java

FakeJava = Callable[..., Path]


@pytest.fixture
def fake_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeJava:
    """Makes a machine on which only the Javas made here are installed."""
    monkeypatch.setattr(java, "INSTALLED", tmp_path / "jvm")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("JAVA_HOME", raising=False)

    def make(name: str, version: str, *modules: str) -> Path:
        command = tmp_path / "jvm" / name / "bin" / "java"
        command.parent.mkdir(parents=True)
        modules_text = "\n".join(modules)
        command.write_text(
            f"#!/bin/sh\nif [ \"$1\" = -version ]; then echo 'openjdk version \"{version}\"' >&2; else echo '{modules_text}'; fi\n"
        )
        command.chmod(0o755)
        return command.parent.parent

    return make


def test_a_whole_jdk_of_the_right_version_is_found_wherever_it_is(fake_java: FakeJava) -> None:
    fake_java("a-11", "11.0.2", java.SPARK_MODULE)
    fake_java("b-jre", "21.0.8", "java.base")
    whole = fake_java("c-17", "17.0.15", "java.base", java.SPARK_MODULE)
    assert java.java_for_spark() == java.Java(whole, "17.0.15", True)


def test_java_home_comes_first(fake_java: FakeJava, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_java("a-17", "17.0.1", java.SPARK_MODULE)
    named = fake_java("b-21", "21.0.1", java.SPARK_MODULE)
    monkeypatch.setenv("JAVA_HOME", str(named))
    assert java.java_for_spark().home == named


def test_what_was_seen_is_named(fake_java: FakeJava) -> None:
    fake_java("old", "11.0.2", java.SPARK_MODULE)
    fake_java("trimmed", "21.0.8", "java.base")
    with pytest.raises(Missing, match=r"whole JDK 17 or 21; found 11\.0\.2 in .*21\.0\.8 in .*not a whole JDK.*apt-get install"):
        java.java_for_spark()


@pytest.mark.parametrize("command", [["ingest", "--engine", "spark", "--once"], ["transform", "--engine", "spark"]])
def test_without_java_a_command_says_so_in_one_line(
    fake_java: FakeJava, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["fleetlake", "--home", str(tmp_path / "home"), *command])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: Spark needs a whole JDK 17 or 21; found no Java at all")
    assert said.count("\n") == 1
    assert "apt-get install openjdk-17-jdk-headless" in said
