"""Is the table what Kafka held? Decided from the table's files and the records themselves, never from what a process said."""

from __future__ import annotations

import json
import math
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass, field, replace

import pyarrow.parquet as pq
from pyiceberg.manifest import ManifestFile
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.snapshots import Snapshot
from sqlalchemy.exc import OperationalError

from fleetlake.contracts.events import Event
from fleetlake.contracts.tables import bronze_of, silver_of
from fleetlake.foundation.errors import Retryable
from fleetlake.ingest.accounts import account_of
from fleetlake.ingest.offsets import IngestEngine, IngestMarker
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.lake.digest import digest_of
from fleetlake.lake.object_store import place_of

Place = tuple[int, int]  # partition and offset
COLUMNS = ["kafka_partition", "kafka_offset", "event_id", "payload", "reject_reason", "ingested_at"]
WATCH_EVERY_S = 0.01


@dataclass(slots=True)
class Verdict:
    """lost, doubled: records, the worst that any look at the table saw. wrong: what else is not as it has to be."""

    lost: int = 0
    doubled: int = 0
    snapshots: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Verdict) -> None:
        self.lost, self.doubled = max(self.lost, other.lost), max(self.doubled, other.doubled)
        self.snapshots += other.snapshots
        self.wrong += [problem for problem in other.wrong if problem not in self.wrong]

    @property
    def holds(self) -> bool:
        return not (self.lost or self.doubled or self.wrong)


class Places:
    """The places of a table's snapshots. Data files and manifests are read once: they never change."""

    def __init__(self) -> None:
        self._of_file: dict[str, list[Place]] = {}
        self._of_manifest: dict[str, list[str]] = {}

    def of(self, table: IcebergTable, snapshot: Snapshot) -> list[Place]:
        manifests = snapshot.manifests(table.io)
        return [place for manifest in manifests for file in self._files(table, manifest) for place in self._read(table, file)]

    def _files(self, table: IcebergTable, manifest: ManifestFile) -> list[str]:
        location = manifest.manifest_path
        if location not in self._of_manifest:
            entries = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
            self._of_manifest[location] = [entry.data_file.file_path for entry in entries]
        return self._of_manifest[location]

    def _read(self, table: IcebergTable, location: str) -> list[Place]:
        if location not in self._of_file:
            filesystem, path = place_of(table.io, location)
            rows = pq.read_table(path, columns=COLUMNS[:2], filesystem=filesystem, partitioning=None)
            self._of_file[location] = list(zip(*(rows[name].to_pylist() for name in COLUMNS[:2]), strict=True))
        return self._of_file[location]


def check_snapshot(places: Iterable[Place], lows: Mapping[int, int], gaps: Iterable[Place]) -> Verdict:
    """Each place once, and in each partition all from its first offset to its last, but for accepted gaps."""
    counts, accepted = Counter(places), set(gaps)
    verdict = Verdict(doubled=sum(counts.values()) - len(counts), snapshots=1)
    last: dict[int, int] = {}
    for partition, offset in counts:
        last[partition] = max(last.get(partition, -1), offset)
    for partition, end in last.items():
        whole = {(partition, offset) for offset in range(lows.get(partition, 0), end + 1)} - accepted
        verdict.lost += len(whole - counts.keys())
    return verdict


def gaps_of(table: IcebergTable) -> list[Place]:
    """The places whose loss somebody accepted."""
    marker = IngestMarker.of(table.properties)
    return [(gap.partition, offset) for gap in (marker.gaps if marker else ()) for offset in range(gap.first, gap.after)]


def check_table(table: IcebergTable, records: Mapping[Place, bytes | None], optional: Set[Place] = frozenset()) -> Verdict:
    """The table's rows against the records there ever were: each once, each with what was in it, in the order of arrival.

    optional: of those that need not be there, since compaction may have removed them before they were read.
    """
    rows = table.scan(selected_fields=tuple(COLUMNS)).to_arrow().sort_by([(name, "ascending") for name in COLUMNS[:2]]).to_pylist()
    counts = Counter((row["kafka_partition"], row["kafka_offset"]) for row in rows)
    accepted = set(gaps_of(table))
    verdict = Verdict(doubled=len(rows) - len(counts), lost=len(records.keys() - optional - counts.keys() - accepted))
    name = ".".join(table.name())
    if strange := counts.keys() - records.keys():
        verdict.wrong.append(f"{name}: {len(strange)} rows of records there never were")
    if false := counts.keys() & accepted:
        verdict.wrong.append(f"{name}: {len(false)} rows that its marker calls lost")
    before: dict[int, object] = {}
    for row in rows:
        place = row["kafka_partition"], row["kafka_offset"]
        if place in records and not _is_of(row, records[place]):
            verdict.wrong.append(f"{name}: the row at {place} is not what its record holds")
        if (earlier := before.get(place[0])) is not None and row["ingested_at"] < earlier:
            verdict.wrong.append(f"{name}: the row at {place} was ingested before its predecessor")
        before[place[0]] = row["ingested_at"]
    verdict.add(check_digest(table))
    return verdict


def check_digest(table: IcebergTable) -> Verdict:
    """What the native ingest's commits say that the rows add up to, whatever became of some of them."""
    marker, account, name = IngestMarker.of(table.properties), account_of(table), ".".join(table.name())
    if marker is None or marker.engine is not IngestEngine.NATIVE:
        return Verdict()
    if account is None or account.since is not None:
        return Verdict(wrong=[f"{name}: its digest is not of all of its rows: {account}"])
    found = digest_of(table.scan().to_arrow(), table.schema())
    return Verdict(wrong=[] if found == account.digest else [f"{name}: its commits say {account.digest}, its rows {found}"])


def check_histories(table: IcebergTable, *histories: Mapping[Place, bytes | None]) -> Verdict:
    """The rows of each partition once, without a hole, and all of them of the same one of the histories."""
    rows = table.scan(selected_fields=tuple(COLUMNS)).to_arrow().to_pylist()
    verdict = check_snapshot([(row["kafka_partition"], row["kafka_offset"]) for row in rows], {}, gaps_of(table))
    for partition in {row["kafka_partition"] for row in rows}:
        of_it = {(partition, row["kafka_offset"]): row for row in rows if row["kafka_partition"] == partition}
        if not any(all(place in one and _is_of(row, one[place]) for place, row in of_it.items()) for one in histories):
            verdict.wrong.append(f"{'.'.join(table.name())}: the rows of partition {partition} are of more than one history")
    return verdict


def _is_of(row: Mapping[str, object], value: bytes | None) -> bool:
    if row["reject_reason"] is not None or value is None:
        return row["reject_reason"] is not None and row["payload"] == value
    with suppress(ValueError, LookupError, TypeError):  # poison, which a good row is not of
        return row["payload"] is None and row["event_id"] == json.loads(value)["id"]
    return False


def check_silver(lake: Lake, event: Event) -> Verdict:
    """Each good event of bronze once in silver, and nothing else."""
    good = lake.table(bronze_of(event).name).scan(row_filter="reject_reason is null", selected_fields=("event_id",)).to_arrow()
    wanted = set(good["event_id"].to_pylist())
    counts = Counter(lake.table(silver_of(event).name).scan(selected_fields=("event_id",)).to_arrow()["event_id"].to_pylist())
    verdict = Verdict(lost=len(wanted - counts.keys()), doubled=sum(counts.values()) - len(counts))
    if strange := counts.keys() - wanted:
        verdict.wrong.append(f"{silver_of(event).name}: {len(strange)} rows that bronze has not got")
    return verdict


class Watcher:
    """A reader beside the fault: looks at every snapshot it can see, as somebody who queries the lake would.

    grace_s: for so long after a table was loaded its files have to be there. sparse: offsets without rows are not missed, since
    they may have no records.
    """

    def __init__(
        self, settings: LakeSettings, events: Iterable[Event], places: Mapping[str, Places], *, sparse: bool = False
    ) -> None:
        self._sparse = sparse
        self._settings, self._names, self._places = settings, [bronze_of(event).name for event in events], places
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watcher")
        self.verdict = Verdict()
        self.grace_s = math.inf

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        lake = open_lake(self._settings)
        seen: dict[str, int] = {}
        try:
            while not self._done.wait(WATCH_EVERY_S):
                for name in self._names:
                    try:
                        self._look(lake, name, seen)
                    except (OperationalError, Retryable):
                        continue  # the catalog is locked: nothing was seen
                    except Exception as error:  # what a reader meets is part of what is tested
                        self.verdict.add(Verdict(wrong=[f"a reader of {name} failed: {error!r}"]))
        finally:
            lake.close()

    def _look(self, lake: Lake, name: str, seen: dict[str, int]) -> None:
        if not lake.has(name):
            return
        loaded_at = time.monotonic()
        table = lake.table(name)
        snapshot = table.current_snapshot()
        if snapshot is None or seen.get(name) == snapshot.snapshot_id:
            return
        seen[name] = snapshot.snapshot_id
        try:
            places = self._places[name].of(table, snapshot)
        except FileNotFoundError:
            if time.monotonic() - loaded_at < self.grace_s:
                raise
            return  # it was expired, as it may be
        seen = check_snapshot(places, {}, gaps_of(table))
        self.verdict.add(replace(seen, lost=0) if self._sparse else seen)
