"""What is left of a device after kill -9 and full disks, and an erasure: `python -m tests.forensics --seeds 100`.

Each seed fills a lake of its own, on a small disk if it may mount one, by processes that are killed or run out of space while they
write, compact, sort with a spill, or erase, and in every fifth seed transform. Then everything is two hours older, and one erasure
runs to its end. Afterwards every file below the home is opened: pages, blocks and frames are decompressed by other libraries than
fleetlake uses.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pyarrow as pa
import zstandard
from pyiceberg.avro.file import AvroFile
from pyiceberg.io.pyarrow import PyArrowFileIO

from fleetlake.config.settings import Settings
from fleetlake.config.wiring import open_existing_lake, open_lake_from
from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import EMERGENCY
from fleetlake.contracts.tables import all_tables, bronze_of
from fleetlake.foundation.errors import FleetlakeError, Missing
from fleetlake.lake.commits import commit
from fleetlake.lake.memory_database import memory_database
from fleetlake.lake.write import write_files
from fleetlake.maintain.compaction import CompactionPolicy, compact
from fleetlake.maintain.erase import erase_device
from fleetlake.runtime.spill import ROOT, spill_root
from fleetlake.transform.runner import run_transform
from fleetlake.transform.settings import TransformSettings
from fleetlake.workflows.erase import erase_wiring
from tests.forking import forking

DEVICES = ("quokka-7", "sim1-00007", "veh-0001", "7", "x", "  ", "Straße 12/7", "日本-7")
OTHERS = ("quokka-70", "a-quokka-7", "sim1-000071", "veh-00010", "77", "12", "xx", " ", "Straße 12", "日本")
COMMITS, DISK_MB = 6, 60
T0, TABLE, NEXT = datetime(2026, 1, 1, 8, tzinfo=UTC), bronze_of(EMERGENCY), "test.next"


def row_of(seed: int, device: str, offset: int) -> dict[str, Any]:
    """The record at an offset: one of the device, of another, or one without an owner that is rejected."""
    chance = Random(f"{seed}/{offset}")
    made = {"kafka_partition": 0, "kafka_offset": offset, "ingested_at": T0 + timedelta(days=1, seconds=offset)}
    kind = chance.random()
    if kind < 0.1:
        whose = device if kind < 0.05 else chance.choice(OTHERS)
        payload = f'{{"deviceId": "{whose}", "n": {offset}, '.encode(chance.choice(["utf-8", "utf-16", "utf-32-le"]))
        return made | {"reject_reason": "not_json: -: cut", "payload": payload}
    whose = device if kind < 0.4 else chance.choice(OTHERS)
    names = whose != device and chance.random() < 0.2 and len(device) >= 6
    description = f"seen: {device}, lane 7" if names else f"lane {offset}"
    return made | {
        "event_id": str(uuid.UUID(int=chance.getrandbits(128))), "device_id": whose, "incident_id": f"inc-{offset % 5}",
        "incident_type": "Accident", "event_time": T0 + timedelta(seconds=offset), "latitude": 52.0, "longitude": -1.0,
        "status": "Active", "description": description,
    }  # fmt: skip


def is_transformed(seed: int) -> bool:
    return seed % 5 == 0


def is_own(seed: int, device: str, offset: int) -> bool:
    row = row_of(seed, device, offset)
    return row.get("device_id") == device or any(
        f'"deviceId": "{device}"' in row.get("payload", b"").decode(codec, "replace") for codec in ("utf-8", "utf-16", "utf-32-le")
    )


def work(home: str, seed: int, device: str, what: str) -> None:
    """One process of a scene."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings = Settings(home=Path(home))
    ROOT.set(spill_root(Path(home)))
    with suppress(FleetlakeError, OSError, duckdb.Error):  # a full disk, or another who came first
        lake = open_lake_from(settings)
        if what == "spill":
            sort_and_wait(device)
        elif what == "transform":
            run_transform(lake, TransformSettings(threads=1), on_repeat=lambda _: None)
        elif what == "compact":
            compact(lake, TABLE.name, CompactionPolicy(), wait=lambda _: None)
        elif what == "erase":
            erase_device(lake, device, erase_wiring())
        else:
            write(lake, seed, device)


def write(lake: Any, seed: int, device: str) -> None:
    """Commits until it is killed, or COMMITS times; each says in the table up to which offset it came."""
    lake.ensure(all_tables() if is_transformed(seed) else [TABLE])
    for _ in range(COMMITS):
        table = lake.table(TABLE.name)
        begin = int(table.properties.get(NEXT, 0))
        end = begin + 40
        schema = table_schema(TABLE)
        rows = [row_of(seed, device, offset) for offset in range(begin, end)]
        arrow = pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema=schema)
        commit(table, added=write_files(table, arrow, folder=uuid.uuid4().hex), properties={NEXT: str(end)})


def sort_and_wait(device: str) -> None:
    with memory_database("transform", {"memory_limit": "30MB", "threads": 1}) as con:
        sql = "SELECT hash(range) AS h, 'a row of ' || $device || ', the ' || range AS t FROM range(500_000) ORDER BY h"
        reader = con.sql(sql, params={"device": device}).to_arrow_reader(1000)
        next(reader)
        signal.pause()


def play(seed: int, folder: Path) -> list[str]:
    """Returns what was wrong."""
    chance, home = Random(seed), folder / "home"
    device = DEVICES[seed % len(DEVICES)]
    home.mkdir()
    with small_disk(home):
        run(home, seed, device, "write", 120.0)
        for _ in range(chance.randint(3, 5)):
            what = chance.choice(["write", "write", "spill", "compact", "erase", *(["transform"] * is_transformed(seed))])
            with full_disk(home, chance) if chance.random() < 0.4 else nothing_more():
                run(home, seed, device, what, 8.0 if what == "spill" else chance.random() * chance.choice([1, 3, 8]))
        return judge(home, seed, device, chance)


def run(home: Path, seed: int, device: str, what: str, most_s: float) -> None:
    process = forking().Process(target=work, args=(str(home), seed, device, what))
    process.start()
    process.join(most_s)
    if process.is_alive():
        process.kill()
        process.join()


def judge(home: Path, seed: int, device: str, chance: Random) -> list[str]:
    for path in home.rglob("*"):
        if path.is_file():
            os.utime(path, (time.time() - 7200,) * 2)
    lake, wrong = open_existing_lake(Settings(home=home), to_write=True), list[str]()
    with suppress(Missing):  # an erasure that was killed had done all of it
        erased = erase_device(lake, device, erase_wiring())
        wrong += [f"{name} {path}" for name in ("remaining", "broken", "unsearched") for path in getattr(erased, name)]
    wrong += [f"a copy in {path}" for path in holders(home, device)]
    wrong += [f"left behind: {path}" for path in (home / "spill").glob("*") if path.name != ".lock"]
    table = lake.table(TABLE.name)
    end = int(table.properties.get(NEXT, 0))
    found = {one["kafka_offset"]: one for one in table.scan().to_arrow().to_pylist()}
    expected = {offset for offset in range(end) if not is_own(seed, device, offset)}
    if found.keys() != expected:
        wrong.append(f"lost {sorted(expected - found.keys())[:5]}, too many {sorted(found.keys() - expected)[:5]} of {end}")
    for offset, one in found.items():
        before = row_of(seed, device, offset)
        if one["event_id"] != before.get("event_id") or one["device_id"] != before.get("device_id"):
            wrong.append(f"offset {offset} is not what it was")
        if len(device) >= 6 and before.get("description", "").replace(device, "[erased]") != (one["description"] or ""):
            wrong.append(f"offset {offset} says {one['description']!r}")
    if is_transformed(seed):
        wrong += compare_with_rebuild(lake)
    lake.close()
    return wrong


def compare_with_rebuild(lake: Any) -> list[str]:
    def rows() -> dict[str, list[str]]:
        return {table.name: sorted(map(repr, lake.table(table.name).scan().to_arrow().to_pylist())) for table in all_tables()}

    run_transform(lake, TransformSettings(threads=1))
    now = rows()
    run_transform(lake, TransformSettings(threads=1), full=True)
    return [f"{name} is not what a rebuild makes" for name, one in rows().items() if one != now[name]]


def holders(home: Path, device: str) -> Iterator[Path]:
    """Files with a copy of the id: as a device in rows, and for one that is no common word, anywhere."""
    spelled, in_texts = re.escape(device.encode()), len(device) >= 6
    anywhere = re.compile(rb"(?<![0-9A-Za-z_-])" + spelled + rb"(?![0-9A-Za-z_-])")
    for path in sorted(path for path in home.rglob("*") if path.is_file() and path.name != ".lock"):
        if any(anywhere.search(part) for part in parts_of(path)) if in_texts else device in devices_of(path):
            yield path


def parts_of(path: Path) -> Iterator[bytes]:
    content = path.read_bytes()
    yield content
    at = content.find(b"\x28\xb5\x2f\xfd")
    while at >= 0:
        made = bytearray()
        with suppress(zstandard.ZstdError):
            engine = zstandard.ZstdDecompressor().decompressobj()
            for begin in range(at, len(content), 64):
                made += engine.decompress(content[begin : begin + 64])
        yield bytes(made)
        at = content.find(b"\x28\xb5\x2f\xfd", at + 4)
    if path.suffix == ".avro":
        with AvroFile[Any](PyArrowFileIO().new_input(str(path))) as records:
            yield repr([repr(record) for record in records]).encode()
    if path.suffix == ".parquet":
        with duckdb.connect() as con:
            rows = con.execute("SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
            yield "\n".join(str(cell) for row in rows for cell in row if not isinstance(cell, bytes)).encode()
            yield b"\n".join(cell.replace(b"\0", b"") for row in rows for cell in row if isinstance(cell, bytes))


def devices_of(path: Path) -> set[str]:
    if path.suffix != ".parquet":
        return set()
    with duckdb.connect() as con:
        columns = [name for name, *_ in con.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()]
        if "device_id" not in columns:
            return set()
        found = con.execute("SELECT DISTINCT device_id FROM read_parquet(?)", [str(path)]).fetchall()
        return {device for (device,) in found}


@contextmanager
def small_disk(home: Path) -> Iterator[None]:
    """A disk of its own; without root, or where none can be mounted, the one there is."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=700", "none", str(home)]
    is_mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield
    finally:
        if is_mounted:
            subprocess.run(["umount", "-l", str(home)], check=True)


@contextmanager
def full_disk(home: Path, chance: Random) -> Iterator[None]:
    """All but some kilobytes of the small disk taken; nothing if it is not one."""
    ballast, free = home / "ballast", os.statvfs(home)
    left = free.f_bavail * free.f_frsize
    if left <= DISK_MB << 20:
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            file.write(b"\0" * max(0, left - chance.choice([0, 4096, 20_000, 60_000, 200_000])))
    try:
        yield
    finally:
        ballast.unlink(missing_ok=True)


@contextmanager
def nothing_more() -> Iterator[None]:
    yield


def main(arguments: list[str] | None = None, say: Callable[[str], None] = print) -> int:
    """Plays the seeds; 1 if a copy was left or a row lost in any."""
    parser = argparse.ArgumentParser(prog="python -m tests.forensics", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60.0, help="begin no seed after this time")
    given = parser.parse_args(arguments)
    end_at, played, failed = time.monotonic() + 60 * given.minutes, 0, 0
    for seed in range(given.first, given.first + given.seeds):
        if time.monotonic() > end_at:
            break
        folder = Path(tempfile.mkdtemp(prefix=f"forensics-{seed}-"))
        wrong = play(seed, folder)
        played, failed = played + 1, failed + bool(wrong)
        for line in wrong:
            say(f"seed {seed}: {line}")
        shutil.rmtree(folder, ignore_errors=True)
    say(f"{played} of {given.seeds} seeds played, {failed} wrong")
    return int(failed > 0 or not played)


if __name__ == "__main__":
    sys.exit(main())
