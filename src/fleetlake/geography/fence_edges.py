"""The borders of fences, edge by edge, laid out so that a model finds the edges near a vehicle's way by equality.

All in whole units of 1e-7 degrees, x east from longitude -180 and y north from latitude -90: in these, which side of a line a
position is on is exact, and the same on every engine. The inside is on the left of an edge: outer rings go counter-clockwise, inner
ones clockwise. The x of a fence across the antimeridian go on past 360 degrees.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from fleetlake.geography.fence_shapes import Shape

Whole = NDArray[np.int64]

UNITS_PER_DEGREE = 10_000_000
ORIGIN = np.array([180, 90]) * UNITS_PER_DEGREE
CELL = 100_000  # units in a cell's side, 1/100 degree
CELLS_AROUND = 36_000
MARGIN = 2  # units by which an edge's extent in a row is rounded up

EDGE_SCHEMA = pa.schema(
    [
        pa.field("fence_id", pa.string(), nullable=False),
        pa.field("fence_name", pa.string(), nullable=False),
        pa.field("edge", pa.int64(), nullable=False),  # its number
        pa.field("west", pa.int64(), nullable=False),  # least x of the fence, from 0 to below 360 degrees
        pa.field("x1", pa.int64(), nullable=False),
        pa.field("y1", pa.int64(), nullable=False),
        pa.field("x2", pa.int64(), nullable=False),
        pa.field("y2", pa.int64(), nullable=False),
        pa.field("cell", pa.int64(), nullable=False),  # row * 36,000 + column, of columns around the Earth
        pa.field("cell_row", pa.int64(), nullable=False),  # y // CELL
        pa.field("row_west", pa.int64(), nullable=False),  # extent of the edge in the row
        pa.field("row_east", pa.int64(), nullable=False),
        pa.field("is_first_in_row", pa.bool_(), nullable=False),  # one of an edge's rows that share a row
    ]
)


def edge_table(fences: Sequence[tuple[str, str, Shape]]) -> pa.Table:
    """The relation `fence_edges` of fences (id, name, shape): a row for every edge and cell of 1/100 degree it passes through."""
    parts, first = [EDGE_SCHEMA.empty_table()], 0
    for fence_id, name, shape in fences:
        ends = np.concatenate([np.hstack([ring[:-1], ring[1:]]) for ring in _rings(shape)])
        columns = _by_cell(ends, first)
        rows = len(columns["edge"])
        columns["west"] = np.full(rows, ends[:, 0].min())
        texts = {"fence_id": pa.array([fence_id] * rows, pa.string()), "fence_name": pa.array([name] * rows, pa.string())}
        parts.append(pa.table([texts.get(field.name, columns.get(field.name)) for field in EDGE_SCHEMA], schema=EDGE_SCHEMA))
        first += len(ends)
    return pa.concat_tables(parts).combine_chunks()


def _rings(shape: Shape) -> Iterator[Whole]:
    """(n, 2) x and y of each ring, the first position again at its end."""
    for part in shapely.get_parts(shape):
        for ring in (part.exterior, *part.interiors):
            units = np.rint(shapely.get_coordinates(ring) * UNITS_PER_DEGREE).astype(np.int64)
            yield units + ORIGIN


def _by_cell(ends: Whole, first: int) -> dict[str, Whole]:
    """Columns of a fence's edges (x1, y1, x2, y2), one row an edge and cell. first: the number of the first edge."""
    low = np.minimum(ends[:, 1], ends[:, 3]) // CELL
    edge, step = _repeated(np.maximum(ends[:, 1], ends[:, 3]) // CELL - low + 1)
    row = low[edge] + step
    west, east = _extent(ends[edge], row)
    in_row, step = _repeated(east // CELL - west // CELL + 1)
    column = west[in_row] // CELL + step
    x1, y1, x2, y2 = ends[edge[in_row]].T
    return {
        "edge": edge[in_row] + first, "x1": x1, "y1": y1, "x2": x2, "y2": y2,
        "cell": row[in_row] * CELLS_AROUND + column % CELLS_AROUND,
        "cell_row": row[in_row], "row_west": west[in_row], "row_east": east[in_row], "is_first_in_row": step == 0,
    }  # fmt: skip


def _extent(ends: Whole, row: Whole) -> tuple[Whole, Whole]:
    """Least and greatest x of each edge within its row, no less than it has."""
    x1, y1, x2, y2 = ends.T
    rise = np.where(y1 == y2, 1, y2 - y1)
    shares = [np.clip((edge_of_row - y1) / rise, 0, 1) for edge_of_row in (row * CELL, (row + 1) * CELL)]
    level = y1 == y2
    at = [np.where(level, end, x1 + share * (x2 - x1)) for share, end in zip(shares, (x1, x2), strict=True)]
    return (np.floor(np.minimum(*at)) - MARGIN).astype(np.int64), (np.ceil(np.maximum(*at)) + MARGIN).astype(np.int64)


def _repeated(times: Whole) -> tuple[Whole, Whole]:
    """For each of the numbers `times`, so often: its place among them, and 0, 1, 2..."""
    place = np.repeat(np.arange(len(times)), times)
    return place, np.arange(len(place)) - np.repeat(np.cumsum(times) - times, times)
