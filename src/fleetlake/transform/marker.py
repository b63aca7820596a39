"""How far a table has read its sources: stored in the commit that holds the rows made from them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pyiceberg.table import Table as IcebergTable

from fleetlake.lake.replace import rows_since
from fleetlake.lake.stored_json import read_stored

PROPERTY = "fleetlake.transform.read"


@dataclass(frozen=True, slots=True)
class ReadTable:
    """What has been read of one table.

    snapshot_id, sequence: the snapshot with the rows that were read, and its Iceberg sequence number (0: no snapshot yet).
    offsets: the next Kafka offset to read of each partition; bronze only.
    """

    snapshot_id: int = 0
    sequence: int = 0
    offsets: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TransformMarker:
    """definition: digest of the model the rows were computed with; under another one they have to be computed anew."""

    definition: str
    sources: Mapping[str, ReadTable]

    def properties(self) -> dict[str, str]:
        return {PROPERTY: json.dumps(asdict(self), sort_keys=True)}


def read_marker(table: IcebergTable) -> TransformMarker | None:
    """The marker of the table's last run; None before the first."""
    return read_stored(table.properties, PROPERTY, _marker_of)


def _marker_of(stored: dict[str, Any]) -> TransformMarker:
    sources = {
        name: ReadTable(
            snapshot_id=source["snapshot_id"],
            sequence=source["sequence"],
            offsets={int(partition): offset for partition, offset in source["offsets"].items()},
        )
        for name, source in stored["sources"].items()
    }
    return TransformMarker(definition=stored["definition"], sources=sources)


def source_now(table: IcebergTable, offsets: Mapping[int, int] | None = None) -> ReadTable:
    """All rows of a table as it was loaded, whatever files a compaction has put them into since."""
    since = rows_since(table)
    return ReadTable(since.snapshot_id, since.sequence, offsets or {})
