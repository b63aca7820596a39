"""Lakes that were moved, copied or share a warehouse: what one does never costs another a row, and each says whose it is."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from pyiceberg.io.pyarrow import PyArrowFileIO
from tests.filled_lakes import TABLES, WIRING, append, fill, rows_of, seen, without_identity

from fleetlake.config.settings import Settings
from fleetlake.config.wiring import adopt_lake, open_existing_lake, open_lake_from, open_unchecked_lake
from fleetlake.foundation.errors import BadInput, Permanent
from fleetlake.lake import identity
from fleetlake.lake.catalog import Lake
from fleetlake.lake.ownership import OBJECT, Copied
from fleetlake.lake.unlisted import Claimed
from fleetlake.maintain.erase import erase_device
from fleetlake.maintain.expiry import expire
from fleetlake.maintain.orphans import delete_orphans
from fleetlake.maintain.retention import ExpiryPolicy
from fleetlake.serve.query import run_query
from fleetlake.workflows.diagnose import examine


def spoil(lake: Lake) -> None:
    """Everything that takes files away, with all their ages at zero."""
    for path in Path(str(lake.catalog.properties["warehouse"]).removeprefix("file://")).rglob("*"):
        os.utime(path, (time.time() - 9 * 86_400,) * 2)
    append(lake, TABLES[0].name, 100)
    erase_device(lake, "veh-1", WIRING)
    for table in TABLES:
        expire(lake, table.name, ExpiryPolicy(newest=1, reading_s=0, hourly_s=0), wait=lambda attempt: None)
        delete_orphans(lake, table.name, timedelta(0), wait=lambda attempt: None)


def every_path(lake: Lake) -> set[str]:
    found: set[str] = set()
    for table in map(lake.table, (table.name for table in TABLES)):
        found |= {table.location(), table.metadata_location, *(entry.metadata_file for entry in table.metadata.metadata_log)}
        for snapshot in table.snapshots():
            found.add(snapshot.manifest_list)
            for manifest in snapshot.manifests(table.io):
                content = table.io.new_input(manifest.manifest_path)
                assert len(content) == manifest.manifest_length
                found |= {manifest.manifest_path}
                found |= {entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=False)}
    return found


@pytest.mark.parametrize("age", ["with an identity", "of 556f44c"])
def test_a_moved_lake_is_read_and_written_where_it_is_now(tmp_path: Path, age: str, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = tmp_path / "lake", tmp_path / "else where" / "lake"
    fill(old)
    before = seen(old)
    if age == "of 556f44c":
        without_identity(old)
    new.parent.mkdir()
    old.rename(new)
    with closing(open_existing_lake(Settings(home=new))) as lake:
        assert rows_of(lake) == before
        assert f"this lake was moved from {old}/warehouse to {new}/warehouse" in capsys.readouterr().err
        assert not [path for path in every_path(lake) if str(old) in path]
        for path in every_path(lake):
            assert PyArrowFileIO().new_input(path).exists(), path
    with closing(open_lake_from(Settings(home=new))) as lake:
        append(lake, TABLES[0].name, 2)
        spoil(lake)
        assert run_query(lake, f"SELECT count(*) AS n FROM {TABLES[1].name}", None).to_pylist() == [{"n": 1}]
    assert capsys.readouterr().err == ""
    assert not old.exists()


def test_nothing_of_a_device_stays_in_what_a_move_superseded(tmp_path: Path) -> None:
    """The metadata is young after a move or a copy, and erasure leaves young files that no table knows."""
    fill(tmp_path / "lake")
    (tmp_path / "lake").rename(tmp_path / "moved")
    open_lake_from(Settings(home=tmp_path / "moved")).close()
    shutil.copytree(tmp_path / "moved", tmp_path / "copy")
    adopt_lake(Settings(home=tmp_path / "copy"))
    for home in (tmp_path / "moved", tmp_path / "copy"):
        with closing(open_lake_from(Settings(home=home))) as lake:
            assert erase_device(lake, "veh-1", WIRING).remaining == ()


@pytest.mark.parametrize("age", ["with an identity", "of 556f44c"])
def test_a_copy_can_not_touch_the_original_until_it_is_adopted_nor_after(
    tmp_path: Path, age: str, capsys: pytest.CaptureFixture[str]
) -> None:
    original, copy = tmp_path / "lake", tmp_path / "copy"
    fill(original)
    if age == "of 556f44c":
        without_identity(original)
    before = seen(original)
    shutil.copytree(original, copy)
    with pytest.raises(
        Copied, match=rf"this lake is a copy of the one in {original}/warehouse; at {copy}/catalog.db; try: fleetlake adopt"
    ):
        open_lake_from(Settings(home=copy))
    with closing(open_existing_lake(Settings(home=copy))) as lake:
        assert rows_of(lake) == before
    assert "warning: this lake is a copy of the one in" in capsys.readouterr().err
    adopt_lake(Settings(home=copy))
    assert seen(copy) == before
    with closing(open_lake_from(Settings(home=copy))) as lake:
        assert not [path for path in every_path(lake) if f"{original}/" in path]
        spoil(lake)
    assert seen(original) == before
    with closing(open_lake_from(Settings(home=original))) as lake:
        copied = seen(copy)
        spoil(lake)
    assert seen(copy) == copied
    ids = [json.loads((home / "warehouse" / OBJECT).read_text())["id"] for home in (original, copy)]
    assert ids[0] != ids[1]
    with pytest.raises(BadInput, match="this lake is its own already"):
        adopt_lake(Settings(home=copy))


def test_two_homes_never_share_a_warehouse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shared = {"properties": {"warehouse": f"file://{tmp_path}/shared"}}
    first, second = (Settings.model_validate({"home": tmp_path / name, "lake": shared}) for name in ("first", "second"))
    with closing(open_lake_from(first)) as lake:
        lake.ensure(TABLES)
        append(lake, TABLES[0].name, 1)
    for attempt in (open_lake_from, adopt_lake):
        with pytest.raises(
            BadInput, match=r"the warehouse belongs to lake [0-9a-f]{32} of catalog .*first/catalog.db|is its own already"
        ):
            attempt(second)
    shutil.copytree(tmp_path / "first", tmp_path / "third")  # a copied catalog, and the same files
    third = Settings.model_validate({"home": tmp_path / "third", "lake": shared})
    for attempt in (open_lake_from, adopt_lake):
        with pytest.raises(Claimed, match=r"this catalog is a copy of .*first/catalog.db, and both use the same files"):
            attempt(third)
    open_existing_lake(third).close()
    assert "warning: this catalog is a copy" in capsys.readouterr().err
    shutil.copytree(tmp_path / "shared", tmp_path / "own")
    apart = Settings.model_validate({"home": tmp_path / "third", "lake": {"properties": {"warehouse": f"file://{tmp_path}/own"}}})
    adopt_lake(apart)
    with closing(open_lake_from(apart)) as lake:
        spoil(lake)
    with closing(open_lake_from(first)) as lake:
        assert run_query(lake, f"SELECT count(*) AS n FROM {TABLES[0].name}", None).to_pylist() == [{"n": 1}]


def test_a_copy_that_is_not_whole_is_not_adopted(tmp_path: Path) -> None:
    fill(tmp_path / "lake")
    shutil.copytree(tmp_path / "lake", tmp_path / "copy")
    next((tmp_path / "copy" / "warehouse" / "bronze" / "vehicle" / "data").rglob("*.parquet")).unlink()
    with pytest.raises(Permanent, match=r"the copy is not whole: .*\.parquet of table bronze.vehicle is not there"):
        adopt_lake(Settings(home=tmp_path / "copy"))
    with pytest.raises(Copied):
        open_lake_from(Settings(home=tmp_path / "copy"))


@pytest.mark.parametrize("age", ["with an identity", "of 556f44c"])
def test_a_copy_that_lacks_a_table_of_the_original_is_not_adopted(tmp_path: Path, age: str) -> None:
    """It would have two lakes in one warehouse, and be refused by the next command."""
    fill(tmp_path / "lake")
    if age == "of 556f44c":
        without_identity(tmp_path / "lake")
    shutil.copytree(tmp_path / "lake", tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / "warehouse" / "bronze" / "weather")
    with pytest.raises(Claimed, match=r"the copy is not whole: table bronze.weather lies in .*/lake/warehouse, the warehouse of"):
        adopt_lake(Settings(home=tmp_path / "copy"))
    shutil.copytree(*(tmp_path / home / "warehouse" / "bronze" / "weather" for home in ("lake", "copy")))
    adopt_lake(Settings(home=tmp_path / "copy"))
    open_lake_from(Settings(home=tmp_path / "copy")).close()


def test_a_hard_linked_copy_can_not_be_written_nor_the_original_while_it_is_there(tmp_path: Path) -> None:
    """As cp -al makes it: both catalogs are one file."""
    original, copy = tmp_path / "lake", tmp_path / "copy"
    fill(original)
    before = seen(original)
    shutil.copytree(original, copy, copy_function=os.link)
    content = (original / "catalog.db").read_bytes()
    for home in (original, copy):
        for attempt in (open_lake_from, adopt_lake):
            with pytest.raises(Claimed, match=r"the catalog is one file under 2 names .*; at .*; try: give it a file of its own"):
                attempt(Settings(home=home))
        (finding,) = (one for one in examine(Settings(home=home)) if one.what == "lake")
        assert (finding.state, "one file under 2 names" in finding.seen) == ("broken", True)
    assert (original / "catalog.db").read_bytes() == content
    shutil.copy(copy / "catalog.db", copy / "own.db")
    (copy / "own.db").replace(copy / "catalog.db")
    with pytest.raises(Copied):
        open_lake_from(Settings(home=copy))
    adopt_lake(Settings(home=copy))
    with closing(open_lake_from(Settings(home=copy))) as lake:
        spoil(lake)
    assert seen(original) == before
    open_lake_from(Settings(home=original)).close()


def test_a_lake_is_its_own_through_a_symbolic_link_and_by_no_other_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "lake")
    (tmp_path / "link").symlink_to("lake")
    for home in (tmp_path / "link", Path("link")):
        with monkeypatch.context() as at:
            at.chdir(tmp_path)
            with closing(open_lake_from(Settings(home=home))) as lake:
                append(lake, TABLES[0].name, 2)
    (tmp_path / "lake" / "catalog.db").rename(tmp_path / "lake" / "real.db")
    (tmp_path / "lake" / "catalog.db").symlink_to("real.db")
    open_lake_from(Settings(home=tmp_path / "lake")).close()
    owner = tmp_path / "lake" / "warehouse" / OBJECT
    with monkeypatch.context() as at:  # as a folder that is mounted twice looks
        at.setattr(Path, "resolve", lambda path, strict=False: path.absolute())
        owner.write_text(owner.read_text().replace(f"{tmp_path}/lake/", f"{tmp_path}/link/"))
        with pytest.raises(
            Claimed, match=rf"{tmp_path}/lake/catalog.db is that same file under another path; .* --home {tmp_path}/link"
        ):
            open_lake_from(Settings(home=tmp_path / "lake"))


def in_a_process(action: Callable[[], object], user: int = 0) -> int:
    """The exit code of a process that does it, 1 for BadInput."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        if user:
            os.setuid(user)
        action()
        os._exit(0)
    except BadInput as error:
        os.write(2, str(error).encode())
        os._exit(1)
    finally:
        os._exit(70)


@pytest.mark.parametrize("what", ["moved", "copied"])
def test_killed_at_any_step_the_same_again_ends_well(tmp_path: Path, what: str) -> None:
    old, new = tmp_path / "lake", tmp_path / "new"
    fill(old)
    before = seen(old)
    if what == "moved":
        old.rename(new)
    else:
        shutil.copytree(old, new)

    def work(step: str) -> None:
        def cut_in(name: str) -> None:
            if name == step:
                os.kill(os.getpid(), 9)

        with closing(open_unchecked_lake(Settings(home=new))) as lake:
            if what == "moved":
                identity.require_own(lake, new, say=lambda line: None, step=cut_in)
            else:
                identity.adopt(lake, say=lambda line: None, step=cut_in)

    for step in ("relocated", "warehouse written", "catalog written"):
        assert in_a_process(lambda step=step: work(step)) == -9  # type: ignore[misc]
        if what == "copied":
            with pytest.raises(Copied):
                open_lake_from(Settings(home=new))
    work("")
    assert seen(new) == before
    with closing(open_lake_from(Settings(home=new))) as lake:
        assert not [path for path in every_path(lake) if f"{old}/" in path]
    if what == "copied":
        assert seen(old) == before


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_a_moved_lake_in_a_folder_that_can_not_be_written_is_refused_in_words(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path / "lake", range(1))
    (tmp_path / "lake").rename(tmp_path / "new")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/tmp"):  # noqa: S108
            folder.chmod(folder.stat().st_mode | 0o755) if folder.parts[:2] == ("/", "tmp") else None
    for path in (tmp_path / "new").rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    (tmp_path / "new").chmod(0o755)
    assert in_a_process(lambda: open_existing_lake(Settings(home=tmp_path / "new")), user=65534) == 1
    assert "the lake's folder can't be written" in capfd.readouterr().err
