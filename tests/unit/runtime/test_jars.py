"""Jars are what the lock says, or there are none."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fleetlake.foundation.errors import Missing
from fleetlake.runtime.jars import KAFKA, SPARK, SPARK_S3, Jar, JarSet


@pytest.mark.parametrize("jars", [KAFKA, SPARK, SPARK_S3])
def test_every_lock_names_coordinates_and_digests_and_no_addresses(jars: JarSet) -> None:
    locked = jars.jars()
    assert locked
    assert all(len(jar.sha256) == 64 and int(jar.sha256, 16) for jar in locked)
    assert len({jar.name for jar in locked}) == len(locked)
    assert "://" not in jars.lock.read_text()


def test_kafka_has_its_logger() -> None:
    assert {"kafka_2.13", "kafka-clients", "slf4j-simple"} <= {jar.artifact for jar in KAFKA.jars()}


def test_a_line_with_a_classifier() -> None:
    jar = Jar.of("org.example:server:1.0:all 00ff")
    assert (jar.group, jar.name, jar.sha256) == ("org.example", "server-1.0-all.jar", "00ff")


@pytest.fixture
def one_jar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JarSet:
    """A lock of one jar that is in the local Maven repository already."""
    monkeypatch.setenv("M2_REPO", str(tmp_path / "m2"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    stored = tmp_path / "m2" / "org" / "example" / "tool" / "1.0" / "tool-1.0.jar"
    stored.parent.mkdir(parents=True)
    stored.write_bytes(b"a jar")
    lock = tmp_path / "tool.lock"
    lock.write_text(f"# a tool\norg.example:tool:1.0 {hashlib.sha256(b'a jar').hexdigest()}\n")
    return JarSet(lock, "a tool")


def test_a_jar_is_placed_once_and_then_found(one_jar: JarSet, tmp_path: Path) -> None:
    (placed,) = one_jar.ensure()
    assert placed.read_bytes() == b"a jar"
    (tmp_path / "m2" / "org" / "example" / "tool" / "1.0" / "tool-1.0.jar").unlink()
    assert one_jar.ensure() == [placed]
    assert one_jar.absent() == []


def test_another_file_than_the_locked_one_is_refused(one_jar: JarSet, tmp_path: Path) -> None:
    (tmp_path / "m2" / "org" / "example" / "tool" / "1.0" / "tool-1.0.jar").write_bytes(b"another")
    with pytest.raises(Missing, match=r"tool-1\.0\.jar is not the file the lock names"):
        one_jar.ensure()
    assert list(one_jar.folder.glob("*.jar")) == []


def test_of_two_that_lack_a_jar_one_fetches_it(one_jar: JarSet, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[Jar] = []
    both_lack_it, fetch = threading.Barrier(2), JarSet._fetch

    def counted(jars: JarSet, jar: Jar) -> Path:
        fetched.append(jar)
        return fetch(jars, jar)

    def ensure() -> list[Path]:
        assert one_jar.absent()
        both_lack_it.wait(30)
        return one_jar.ensure()

    monkeypatch.setattr(JarSet, "_fetch", counted)
    with ThreadPoolExecutor(2) as pool:
        one, other = (pool.submit(ensure) for _ in range(2))
        assert one.result() == other.result()
    assert len(fetched) == 1
