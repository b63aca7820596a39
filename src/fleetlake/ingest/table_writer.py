"""One bronze table's writer: takes the table over, writes files, and settles every commit before it goes on."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import pyarrow as pa
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table as IcebergTable

from fleetlake.foundation.errors import DataLoss, Fenced, Permanent, Retryable
from fleetlake.foundation.steps import At, Step, nowhere
from fleetlake.ingest.accounts import begun_account, following_account
from fleetlake.ingest.fingerprints import Fingerprints, require_same_records
from fleetlake.ingest.history import FindPrints, offsets_of
from fleetlake.ingest.offsets import (
    CommitOutcome,
    IngestEngine,
    IngestMarker,
    KafkaTopicState,
    Offsets,
    commit_id_of,
    refuse_other_engine,
    resume,
    settle,
)
from fleetlake.lake.catalog import Lake, row_count
from fleetlake.lake.commits import Conflict, UnknownOutcome, commit, waits_too_long
from fleetlake.lake.digest import NO_ROWS, SINCE, Digest, digest_of
from fleetlake.lake.snapshots import Clock, wall_clock_ms
from fleetlake.lake.unlisted import require_newest
from fleetlake.lake.write import write_files

LOG = logging.getLogger(__name__)  # its warnings reach stderr, a line each
ATTEMPTS = 10


class TableWriter:
    """Writes the records of one topic into its bronze table, each once.

    Of two writers at the same table the later one wins: taking over is an empty commit with a higher epoch, after which
    every commit of the earlier writer, also one still on its way, is refused by the catalog and recognised by `settle`.
    wait: called with the number of the attempt before a commit is tried again. at: called after each step, by tests only.
    clock: tells how long files have waited for their commit.
    """

    def __init__(
        self, lake: Lake, name: str, *, job: str, wait: Callable[[int], None], at: At = nowhere, clock: Clock = wall_clock_ms
    ) -> None:
        self._lake, self._name, self._job, self._wait, self._at, self._clock = lake, name, job, wait, at, clock
        self._table: IcebergTable = lake.table(name)
        self.marker = IngestMarker(job, 0, "", "", "", {}, {})

    def take_over(self, source: KafkaTopicState, *, accept_gaps: bool = False, find: FindPrints | None = None) -> Offsets:
        """Fences earlier writers; returns where to read each partition from.

        DataLoss if the topic does not go on from there, BadInput if another engine has filled the table, Retryable if another
        writer moved it on meanwhile, so that `source` is too old to tell, Permanent if the catalog is older than the table.
        find: looks whether the topic still holds the records that the table had last; None: not looked at.
        """
        require_newest(self._lake.table, self._name)
        known = IngestMarker.of(self._table.properties)
        for attempt in range(ATTEMPTS):
            self._table = self._lake.table(self._name)
            self._at(Step.TABLE_LOADED)
            stored = IngestMarker.of(self._table.properties)
            refuse_other_engine(stored, row_count(self._table), ours=IngestEngine.NATIVE, table=self._name)
            if stored:
                require_current(self._table, stored)
            if stored and stored.engine is not IngestEngine.NATIVE:
                self._table = self._lake.make_anew(self._name)  # so that a commit of the other engine fails, even one on its way
                stored = None
            try:
                marker = resume(stored, source, job=self._job, commit_id=_new_id(), accept_gaps=accept_gaps)
                if stored and find:
                    _require_same_log(stored, source, find)
            except DataLoss as error:
                if stored == known:
                    raise
                raise Retryable(
                    "another ingest moved the table on while this one took it over", where=self._name, hint="run the ingest again"
                ) from error
            try:
                self._table = self._mark(marker, begun_account(self._table, marker))
            except (Conflict, UnknownOutcome):
                self._wait(attempt)  # whether it landed or not, the next round takes over from what is there then
            else:
                self.marker = marker
                self._at(Step.TAKEN_OVER)
                for gap in marker.gaps[len(stored.gaps) if stored else 0 :]:
                    LOG.warning(
                        "offsets %d to %d of topic %s, partition %d are lost: retention deleted them before they were ingested; "
                        "the table says so now, and goes on behind them", gap.first, gap.after - 1, source.topic, gap.partition,
                    )  # fmt: skip
                return marker.next
        raise Retryable(f"the table could not be taken over in {ATTEMPTS} attempts", where=self._name)

    def append(
        self, rows: Iterable[pa.Table], following: Offsets, ingested_at_us: int, prints: Fingerprints | None = None
    ) -> IngestMarker:
        """Commits bronze rows that hold the records from the last marker's `next` up to `following`.

        prints: the last record read of each partition; of those that are not before `following` the marker's stay.
        Returns when they are in the table, once. Fenced if another writer took the table over: then they are not, by us.
        """
        read = {p: known for p, known in (prints or {}).items() if known.offset < following[p]}
        marker = replace(
            self.marker, commit_id=_new_id(), start=self.marker.next, next=following, prints={**self.marker.prints, **read}
        )
        marker = replace(marker, ingested_at_us=ingested_at_us)
        written = pa.concat_tables(list(rows))
        self.marker = self._commit(marker, written, digest_of(written, self._table.schema()))
        self._at(Step.COMMITTED)
        return self.marker

    def pass_offsets(self, following: Offsets) -> IngestMarker:
        """Commits that there are no records from the last marker's `next` up to `following`. Fenced as `append` is."""
        self.marker = self._commit(replace(self.marker, commit_id=_new_id(), start=self.marker.next, next=following))
        self._at(Step.COMMITTED)
        return self.marker

    def _commit(self, marker: IngestMarker, rows: pa.Table | None = None, digest: Digest = NO_ROWS) -> IngestMarker:
        """Commits files of `rows` under `marker` and returns it, with a higher epoch if an unknown outcome had to be settled.

        digest: of the rows. It is added to the table's as each attempt finds it, since others may have changed that.
        """
        seal_id, unsettled, refused = _new_id(), False, ""
        folder = f"{self._job}/{marker.epoch}/{marker.commit_id}"
        files, written_ms = self._write(rows, folder)
        for attempt in range(ATTEMPTS):
            try:
                if attempt:
                    self._wait(attempt)
                    self._table = self._lake.table(self._name)
                    self._at(Step.RELOADED)
                    stored = self._stored()
                    if stored.commit_id == seal_id:
                        marker, unsettled = replace(marker, epoch=stored.epoch), False
                    outcome = settle(marker, stored)
                    if outcome is CommitOutcome.LANDED:
                        return marker
                    if outcome is CommitOutcome.FENCED:
                        raise self._fenced()
                    if unsettled:
                        # The unconfirmed commit may still be on its way. A new epoch moves the branch, so it can't land any more.
                        seal = stored.taken_over(self._job, seal_id)
                        self._table = self._mark(seal, following_account(self._table, seal))
                        marker, unsettled = replace(marker, epoch=seal.epoch), False
                    if waits_too_long(written_ms, self._clock()):
                        files, written_ms = self._write(rows, f"{folder}/{attempt}")
                self._table = self._mark(marker, following_account(self._table, marker, digest), files)
                return marker
            except UnknownOutcome as error:
                unsettled, refused = True, error.what
            except Retryable as error:  # a conflict, or a catalog or storage that did not answer: the next round looks again
                refused = error.what
        raise Retryable(
            f"a commit was refused {ATTEMPTS} times, at last: {refused}",
            where=self._name,
            hint="is the catalog reachable and not locked, and is there room?",
        )

    def _write(self, rows: pa.Table | None, folder: str) -> tuple[list[DataFile], int]:
        """The files, and since when they wait for their commit."""
        since = self._clock()
        if rows is None:
            return [], since
        files = write_files(self._table, rows, folder=folder)
        self._at(Step.FILES_WRITTEN)
        return files, since

    def _mark(self, marker: IngestMarker, account: Mapping[str, str], files: Iterable[DataFile] = ()) -> IcebergTable:
        properties, summary = marker.properties() | dict(account), marker.summary() | dict(account)
        summary.pop(SINCE, None)  # of every partition
        return commit(self._table, added=files, properties=properties, summary=summary, at=self._at)

    def _stored(self) -> IngestMarker:
        stored = IngestMarker.of(self._table.properties)
        if stored:
            require_current(self._table, stored)
        if stored is None:
            raise self._fenced()  # dropped and made anew, or its properties removed: not ours to repair
        return stored

    def _fenced(self) -> Fenced:
        return Fenced("another ingest took this table over; this one stops and has written nothing more", where=self._name)


def require_current(table: IcebergTable, stored: IngestMarker) -> None:
    """Raise Permanent if the table was set back to a snapshot from before its marker's commit, so that rows are missing behind it.

    Nothing is known if the snapshots of the ingest are expired.
    """
    commits = {one.snapshot_id: commit_id_of(one.summary.additional_properties if one.summary else {}) for one in table.snapshots()}
    snapshot = table.current_snapshot()
    while snapshot is not None:
        found = commits[snapshot.snapshot_id]
        if found == stored.commit_id:
            return
        if found:
            ours = [snapshot_id for snapshot_id, commit_id in commits.items() if commit_id == stored.commit_id]
            raise Permanent(
                "the table was set back to an older snapshot: rows are gone that its marker counts as ingested",
                where=f"{'.'.join(table.name())}, snapshot {snapshot.snapshot_id}",
                hint=f"set it to snapshot {ours[-1]} again" if ours else "set it to its newest snapshot again",
            )
        parent = snapshot.parent_snapshot_id
        snapshot = table.snapshot_by_id(parent) if parent is not None else None


def _require_same_log(stored: IngestMarker, source: KafkaTopicState, find: FindPrints) -> None:
    """DataLoss if the topic holds other records than the table where the table ends."""
    kept = {p: known for p, known in stored.prints.items() if known.offset < source.watermarks.get(p, (0, 0))[1]}
    require_same_records(source.topic, kept, find(source.topic, offsets_of(kept)))


def _new_id() -> str:
    return uuid.uuid4().hex
