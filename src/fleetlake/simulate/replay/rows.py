"""All recordings as one table of typed rows in the order they are sent, with the motion derived for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fleetlake.contracts.events import EVENTS, GPS
from fleetlake.foundation.errors import BadInput
from fleetlake.simulate.replay.cells import LINE_BREAK, OF_MANY_LINES, read_cells
from fleetlake.simulate.replay.mapping import POSITION, Plan, target
from fleetlake.simulate.replay.motion import derive_motion
from fleetlake.simulate.replay.recordings import DELIMITERS, Recording

FILE, NUMBER, ORDER = "file", "number", "order_ms"
SWALLOWED = "swallowed"  # how many lines that look like rows are in cells of a row that are not sent, or are free text
MALFORMED = "row"  # the wire name under which a line that has no cells is sent


def value_of(kind: str, name: str) -> str:
    """The column of a field's values."""
    return f"{kind}.{name}"


def text_of(kind: str, name: str) -> str:
    """The column of the texts that are not understood; absent if there are none in any file."""
    return f"{kind}.{name}!"


def derived(name: str) -> str:
    """The column of a gps field's derived values, null where it was measured."""
    return f"derived.{name}"


def typed_rows(recordings: Sequence[Recording], plans: Sequence[Plan], timezone: tzinfo) -> pa.Table:
    """One row per recorded row: file (index), number (in the file), order_ms, and what value_of, text_of and derived name.

    Sorted by time, rows of one time by file and number. A row without a time stays behind the row before it in its file.
    Raises BadInput for a file in which no row has a time.
    """
    parts = [_typed(recording, plan, timezone, file) for file, (recording, plan) in enumerate(zip(recordings, plans, strict=True))]
    table = pa.concat_tables(parts, promote_options="permissive").combine_chunks()
    order = table[ORDER].fill_null(pc.min(table[ORDER]).as_py() or 0)
    table = table.set_column(table.column_names.index(ORDER), ORDER, order)
    table = table.take(np.argsort(order.to_numpy(), kind="stable")).combine_chunks()
    return _with_motion(table)


def _typed(recording: Recording, plan: Plan, timezone: tzinfo, file: int) -> pa.Table:
    rows = recording.table.num_rows
    columns: dict[str, pa.Array] = {
        FILE: pa.repeat(pa.scalar(file, pa.int32()), rows),
        NUMBER: pa.array(recording.numbers, pa.int64()),
    }
    for event in EVENTS:
        for name, source in plan.get(event.kind, {}).items():
            cells = recording.table[source.column].combine_chunks().fill_null("")
            values, text = read_cells(cells, target(event, name), source.unit, timezone)
            columns[value_of(event.kind, name)] = values
            if text.null_count < rows:
                columns[text_of(event.kind, name)] = text
        if event.kind in plan and "deviceId" not in plan[event.kind]:
            columns[value_of(event.kind, "deviceId")] = pa.repeat(pa.scalar(recording.device), rows)
    if any(swallowed := _swallowed(recording, plan)):
        columns[SWALLOWED] = pa.array(swallowed, pa.int64())
    _check_times(recording, plan[GPS.kind]["timestamp"].column, columns[value_of(GPS.kind, "timestamp")])
    table = pa.table(columns)
    if recording.malformed:
        numbers, lines = zip(*recording.malformed, strict=True)
        lost = {FILE: pa.repeat(pa.scalar(file, pa.int32()), len(lines)), NUMBER: numbers, text_of(GPS.kind, MALFORMED): lines}
        table = pa.concat_tables([table, pa.table(lost)], promote_options="default").sort_by(NUMBER)
    times = table[value_of(GPS.kind, "timestamp")].combine_chunks().cast(pa.int64())
    return table.append_column(ORDER, pc.fill_null_backward(pc.fill_null_forward(times)))


def _swallowed(recording: Recording, plan: Plan) -> list[int]:
    """Of each row how many lines with as many cells as the header are in one of its cells, where lines are none of a field's.

    A quote that nothing closes makes the following rows part of a cell. Where the cell is a value, that is seen by its line breaks.
    """
    values = {
        source.column
        for event in EVENTS
        for name, source in plan.get(event.kind, {}).items()
        if target(event, name).name not in OF_MANY_LINES
    }
    counts = [0] * recording.table.num_rows
    for name in set(recording.table.column_names) - values:
        cells = recording.table[name]
        for row in np.flatnonzero(pc.match_substring_regex(cells, LINE_BREAK).fill_null(False).to_numpy()):
            lines = cells[int(row)].as_py().splitlines()[1:]
            counts[row] += sum(_looks_like_row(line, recording.table.num_columns) for line in lines)
    return counts


def _looks_like_row(line: str, cells: int) -> bool:
    return any(line.count(delimiter) == cells - 1 for delimiter in DELIMITERS)


def _check_times(recording: Recording, column: str, times: pa.Array) -> None:
    """BadInput if no row has a time: then it is the column or its format, not the rows, that is wrong."""
    if len(times) and times.null_count == len(times):
        raise BadInput(
            f"no row has a time in column {column}; the first says {recording.table[column][0].as_py()!r}",
            where=str(recording.path),
            allowed="ISO 8601 such as 2026-01-31 14:00:00, or seconds, milli-, micro- or nanoseconds since 1970",
            hint="--map timestamp=COLUMN",
        )


def _with_motion(table: pa.Table) -> pa.Table:
    """Adds derived.speed and derived.heading, for rows that have a good position and time and no such cell."""
    places = [_numbers(table, name) for name in POSITION]
    device = table[value_of(GPS.kind, "deviceId")]
    good = (np.abs(places[0]) <= 90) & (np.abs(places[1]) <= 180)
    good &= pc.and_(pc.is_valid(device), pc.is_valid(table[value_of(GPS.kind, "timestamp")])).to_numpy()
    where = np.flatnonzero(good)
    codes = pc.rank(device.take(where), tiebreaker="dense").to_numpy().astype(np.int64)
    motion = derive_motion(codes, table[ORDER].to_numpy()[where], places[0][where], places[1][where])
    for name, values in (("speed", motion.speed_kmh), ("heading", motion.heading_deg)):
        full = np.full(table.num_rows, np.nan)
        full[where] = values
        full[_recorded(table, name)] = np.nan
        table = table.append_column(derived(name), pa.array(full, from_pandas=True))
    return table


def _numbers(table: pa.Table, name: str) -> npt.NDArray[np.float64]:
    result: npt.NDArray[np.float64] = table[value_of(GPS.kind, name)].cast(pa.float64()).to_numpy()
    return result


def _recorded(table: pa.Table, name: str) -> npt.NDArray[np.bool_]:
    """Where a row has a cell for a gps field, understood or not."""
    seen = np.zeros(table.num_rows, bool)
    for column in (value_of(GPS.kind, name), text_of(GPS.kind, name)):
        if column in table.column_names:
            seen |= table[column].is_valid().to_numpy()
    return seen
