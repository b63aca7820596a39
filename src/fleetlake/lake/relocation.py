"""The tables of a local lake whose folder was moved or copied: their metadata written again, with the paths they have now.

Iceberg's metadata holds absolute paths. New metadata, manifest lists and manifests are written beside the old ones under new
names; only then the catalog is switched, all tables in one transaction of SQLite, and then the old ones are deleted. Killed
anywhere, it leaves files that no table knows, which `fleetlake maintain orphans` takes away. Data files are never touched.
"""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from fleetlake.foundation.errors import Permanent
from fleetlake.lake.avro_paths import Value, with_changes
from fleetlake.lake.places import is_same_file, local_path, location_of

DELETED, POSITION_DELETES = 2, 1  # of Iceberg: an entry's status, a file's content
JOB = "job"  # in a bronze table's marker: the checkpoint of Spark's query, a path below the home


class LakePlace(StrEnum):
    """Where a table's metadata is, seen from the warehouse that the configuration names."""

    INSIDE = "inside"
    ELSEWHERE = "elsewhere"  # in another folder or store, and only there
    MOVED = "moved"  # not where the catalog says, but at the same place in the warehouse
    TWIN = "twin"  # both where the catalog says and at the same place in the warehouse
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class CatalogTable:
    """A row of the SQLite catalog."""

    catalog: str
    namespace: str
    name: str
    metadata: str

    @property
    def full_name(self) -> str:
        return f"{self.namespace}.{self.name}"

    @property
    def root(self) -> Path | None:
        """The warehouse folder that the table lies in; None for one on S3, or in a folder of its own."""
        path = local_path(self.metadata)
        if path is None:
            return None
        table = Path(path).parent.parent
        is_usual = (table.parent.name, table.name) == (self.namespace, self.name)
        return table.parent.parent if is_usual else None

    def state(self, warehouse: Path) -> LakePlace:
        root = self.root
        if root is None:
            return LakePlace.ELSEWHERE
        if root == warehouse or is_same_file(root, warehouse):
            return LakePlace.INSIDE
        there, twin = Path(str(local_path(self.metadata))).exists(), self.twin(warehouse).exists()
        if there:
            return LakePlace.TWIN if twin else LakePlace.ELSEWHERE
        return LakePlace.MOVED if twin else LakePlace.LOST

    def twin(self, warehouse: Path) -> Path:
        """Where the metadata is if the warehouse is a copy of the table's, or is that folder itself under another name."""
        return warehouse / self.namespace / self.name / "metadata" / Path(str(local_path(self.metadata))).name


def tables_of(connection: sqlite3.Connection) -> list[CatalogTable]:
    """All tables of an SQLite catalog; none if it has just been made."""
    sql = "SELECT catalog_name, table_namespace, table_name, metadata_location FROM iceberg_tables"
    try:
        return [CatalogTable(*row) for row in connection.execute(sql) if row[3]]
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        return []


def relocate(connection: sqlite3.Connection, tables: Sequence[CatalogTable], warehouse: Path, *, must_be_whole: bool) -> list[Path]:
    """Makes the tables use their files in the warehouse, within the transaction that the connection is in.

    Returns the manifests and manifest lists in the warehouse that nothing names any more once the transaction is committed.

    must_be_whole: raise Permanent if a file of theirs is not there. Permanent as well for delete files of another engine that name
    data files by their paths. OSError if the folder can't be written.
    """
    superseded: list[Path] = []
    for table in tables:
        made = _Relocation(table, Path(str(table.root)), warehouse, must_be_whole, superseded).run()
        connection.execute(
            "UPDATE iceberg_tables SET metadata_location = ?, previous_metadata_location = ?"
            " WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?",
            (made, location_of(table.twin(warehouse)), table.catalog, table.namespace, table.name),
        )
    return superseded


@dataclass(slots=True)
class _Relocation:
    """One table's."""

    table: CatalogTable
    old: Path
    new: Path
    must_be_whole: bool
    superseded: list[Path]
    _manifests: dict[str, tuple[str, int]] = field(default_factory=dict)

    def run(self) -> str:
        """Writes the new metadata and what it names; returns its location."""
        before = self.table.twin(self.new)
        content = before.read_bytes()
        metadata = json.loads(gzip.decompress(content) if before.name.endswith(".gz.metadata.json") else content)
        for snapshot in metadata.get("snapshots", ()):
            snapshot["manifest-list"] = self._manifest_list(snapshot["manifest-list"], snapshot["snapshot-id"])
        for statistics in (*metadata.get("statistics", ()), *metadata.get("partition-statistics", ())):
            statistics["statistics-path"] = self._moved(statistics["statistics-path"])
        for entry in metadata.get("metadata-log", ()):
            entry["metadata-file"] = self._moved(entry["metadata-file"])
        entry = {"timestamp-ms": metadata["last-updated-ms"], "metadata-file": location_of(before)}
        metadata["metadata-log"] = [*metadata.get("metadata-log", ()), entry]
        metadata["location"] = self._moved(metadata["location"])
        metadata["properties"] = {name: self._property(value) for name, value in metadata.get("properties", {}).items()}
        number = before.name.partition("-")[0]
        version = int(number) + 1 if number.isdecimal() else 0
        return self._write(f"{version:05d}-{uuid.uuid4()}.metadata.json", json.dumps(metadata, separators=(",", ":")).encode())

    def _moved(self, location: str) -> str:
        path = local_path(location)
        if path is None or not path.startswith(f"{self.old}/"):
            return location
        return location_of(f"{self.new}{path.removeprefix(str(self.old))}")

    def _property(self, value: str) -> str:
        """Writers' folders; and the checkpoint of a query that filled the table, if it came with the warehouse."""
        moved = self._moved(value)
        if moved != value or not value.startswith("{"):
            return moved
        with suppress(ValueError):
            marker = json.loads(value)
            job = marker.get(JOB)
            if isinstance(job, str) and job.startswith(f"{self.old.parent}/"):
                there = f"{self.new.parent}{job.removeprefix(str(self.old.parent))}"
                if Path(there).exists():
                    return json.dumps(marker | {JOB: there}, separators=(",", ":"))
        return value

    def _manifest_list(self, location: str, snapshot_id: int) -> str:
        moved = self._moved(location)
        content = self._content(moved)
        if moved == location or content is None:
            return moved
        length = 0

        def path(value: Value) -> Value:
            nonlocal length
            found, length = self._manifest(str(value))
            return found

        changed = with_changes(content, {"manifest_path": path, "manifest_length": lambda value: length or value})
        self.superseded.append(Path(str(local_path(moved))))
        return self._write(f"snap-{snapshot_id}-0-{uuid.uuid4()}.avro", changed)

    def _manifest(self, location: str) -> tuple[str, int]:
        """Where it is now, and its length; 0 if it stays what it is."""
        if location not in self._manifests:
            moved = self._moved(location)
            content = self._content(moved)
            if moved == location or content is None:
                self._manifests[location] = moved, 0
            else:
                changed = with_changes(content, _Entries(self).changes)
                self.superseded.append(Path(str(local_path(moved))))
                self._manifests[location] = self._write(f"{uuid.uuid4()}-m0.avro", changed), len(changed)
        return self._manifests[location]

    def _content(self, location: str) -> bytes | None:
        """None for a file that is not there: of an old snapshot, say. The table is as damaged as it was."""
        path = local_path(location)
        if path is None:
            return None
        try:
            return Path(path).read_bytes()
        except FileNotFoundError:
            if self.must_be_whole:
                raise self.incomplete(path) from None
            return None

    def incomplete(self, path: str) -> Permanent:
        return Permanent(
            f"the copy is not whole: {path} of table {self.table.full_name} is not there",
            where=str(self.new),
            hint="copy the lake again while nothing writes to it",
        )

    def _write(self, name: str, content: bytes) -> str:
        place = self.table.twin(self.new).with_name(name)
        with place.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return location_of(place)


class _Entries:
    """The entries of one manifest, as they are walked through: status, content, path."""

    def __init__(self, relocation: _Relocation) -> None:
        self._relocation, self._status = relocation, 0
        self.changes = {
            "status": self._remember, "content": self._refuse_deletes, "file_path": self._path, "referenced_data_file": self._path,
        }  # fmt: skip

    def _remember(self, value: Value) -> Value:
        self._status = int(value)
        return value

    def _refuse_deletes(self, value: Value) -> Value:
        if value == POSITION_DELETES and self._status != DELETED:
            raise Permanent(
                f"table {self._relocation.table.full_name} has delete files of another engine, which name its data files by path",
                where=str(self._relocation.new),
                hint=f"move it back to {self._relocation.old}, compact the table with that engine, and move it again",
            )
        return value

    def _path(self, value: Value) -> Value:
        moved = self._relocation._moved(str(value))
        path = local_path(moved)
        if self._relocation.must_be_whole and self._status != DELETED and path and not Path(path).is_file():
            raise self._relocation.incomplete(path)
        return moved
