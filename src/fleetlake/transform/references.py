"""Relations the models read beside the lake's tables: roads, places and fences."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from fleetlake.geography.geofences import read_fences
from fleetlake.geography.places import read_places
from fleetlake.geography.roads import read_road, road_tables


@dataclass(frozen=True, slots=True)
class References:
    """tables: relation to its rows. digests: relation to a text that changes with them."""

    tables: Mapping[str, pa.Table]
    digests: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digests", {name: _digest(rows) for name, rows in self.tables.items()})


def read_references(*, roads: Path | None = None, places: Path | None = None, geofences: Path | None = None) -> References:
    """From the files named, or what comes with fleetlake. BadInput where a file is wrong."""
    cells, segments = road_tables(read_road(roads))
    tables = {"road_cells": cells, "roads": segments, "places": read_places(places), "fence_edges": read_fences(geofences)}
    return References(tables)


def _digest(rows: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows.combine_chunks())
    return hashlib.sha256(sink.getvalue()).hexdigest()[:16]
