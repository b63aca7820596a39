"""What lies below a warehouse and is not a table's file: reported by erasure, never deleted by it nor as an orphan."""

from __future__ import annotations

import json
import os
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from test_erase import GONE, contents, fill, without

from fleetlake.cli.main import main
from fleetlake.foundation.errors import Missing
from fleetlake.lake.ownership import OBJECT
from fleetlake.maintain.erase import erase_device
from fleetlake.maintain.orphans import delete_orphans
from fleetlake.maintain.own_files import OwnFiles
from fleetlake.workflows.erase import erase_wiring

NAMES_IT = f'{{"deviceId":"{GONE}"}}\n'.encode()


def put(path: Path, content: bytes = NAMES_IT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def age(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, (time.time() - 9 * 86_400,) * 2)


def strangers(tmp_path: Path) -> tuple[list[Path], set[Path]]:
    """Files that are not the lake's, and an orphan that is: what links lead to, another lake within, what others put there."""
    warehouse, elsewhere = tmp_path / "lake" / "warehouse", tmp_path / "elsewhere"
    gps = warehouse / "bronze" / "gps"
    others = [
        put(elsewhere / "letter.txt"), put(elsewhere / "half.parquet", b"PAR1" + NAMES_IT),
        put(warehouse / "notes.txt"), put(warehouse / "kafka" / "gps_data-0" / "0.log"), put(gps / "notes.txt"),
        put(gps / "data" / "inner" / "bronze" / "gps" / "data" / "1.txt"), put(gps / "data" / "inner" / OBJECT),
    ]  # fmt: skip
    (gps / "data" / "ext").symlink_to(elsewhere)
    (gps / "data" / "letter.txt").symlink_to(elsewhere / "letter.txt")
    (gps / "data" / "self").symlink_to(".")
    (gps / "metadata" / "ext").symlink_to(elsewhere)
    (warehouse / "link").symlink_to(elsewhere)
    return others, {put(gps / "data" / "orphan.txt"), put(gps / "metadata" / "orphan.txt")}


def test_erasure_leaves_what_is_not_the_lakes_and_says_so(tmp_path: Path) -> None:
    lake = fill(tmp_path / "lake", transformed=False)
    with closing(fill(tmp_path / "other", transformed=False)) as other:
        (tmp_path / "lake" / "warehouse" / "otherlake").symlink_to(tmp_path / "other" / "warehouse")
        before, of_other = contents(lake), contents(other)
        others, own = strangers(tmp_path)
        age(tmp_path)
        erased = erase_device(lake, GONE, erase_wiring())
        assert contents(other) == of_other
    assert contents(lake) == without(before)
    assert [path for path in others if not path.exists()] == []
    assert [path for path in own if path.exists()] == []
    assert erased.remaining == ()
    found = {Path(path).resolve() for path in erased.foreign}
    assert found >= set(others)
    assert any(path.is_relative_to(tmp_path / "other") for path in found)
    with pytest.raises(Missing):
        erase_device(lake, GONE, erase_wiring())  # that another lake within has it makes it no device of this one
    lake.close()


def test_the_command_ends_in_1_while_other_files_name_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "lake"
    fill(home, transformed=False).close()
    note = put(home / "warehouse" / "notes.txt")
    monkeypatch.setattr("fleetlake.workflows.erase.PROBE_S", 0.2)
    kafka = ("--set", "kafka.bootstrap_servers=127.0.0.1:1")
    monkeypatch.setattr("sys.argv", ["fleetlake", "--home", str(home), *kafka, "erase", "--device", GONE, "--json"])
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr()
    assert end.value.code == 1
    assert f"1 files outside the lake's tables name the device, and were left as they are; at {note}; try: see whose" in said.err
    erasure = json.loads(said.out)["erasure"]
    assert (erasure["remaining"], erasure["foreign"]) == ([], [str(note)])
    assert note.read_bytes() == NAMES_IT


def test_orphans_are_files_of_the_table_only(tmp_path: Path) -> None:
    lake = fill(tmp_path / "lake", transformed=False)
    others, own = strangers(tmp_path)
    age(tmp_path)
    before = contents(lake)
    found = delete_orphans(lake, "bronze.gps", timedelta(days=3), wait=lambda attempt: None)
    assert set(map(Path, found.files)) == own
    assert found.size_bytes == 2 * len(NAMES_IT)
    assert [path for path in others if not path.exists()] == []
    assert contents(lake) == before
    lake.close()


def test_a_location_through_a_link_is_its_own_and_prefixes_end_at_a_slash(tmp_path: Path) -> None:
    put(tmp_path / "real" / "gps" / "data" / "1.parquet")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    own = OwnFiles([f"file://{tmp_path}/link/gps"], [])
    assert own.has(f"{tmp_path}/link/gps/data/1.parquet")
    assert not own.has(f"{tmp_path}/link/gps2/data/1.parquet")
    assert not own.has(f"{tmp_path}/link/gps/data/../../other/data/1.parquet")
    s3 = OwnFiles(["s3a://bucket/team/bronze/gps"], [f"s3://bucket/team/bronze/gps/data/inner/{OBJECT}"])
    assert s3.has("s3://bucket/team/bronze/gps/data/1.parquet")
    assert not s3.has("s3://bucket/team2/bronze/gps/data/1.parquet")
    assert not s3.has("s3://bucket/team/bronze/gps2/data/1.parquet")
    assert not s3.has("s3://bucket/team/bronze/gps/other/1.parquet")
    assert not s3.has("s3://bucket/team/bronze/gps/data/inner/data/1.parquet")
