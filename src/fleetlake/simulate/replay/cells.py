"""Text cells to typed columns. A cell that is not understood keeps its text, so that it can be sent as it is."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo

import pyarrow as pa
import pyarrow.compute as pc

from fleetlake.contracts.columns import Column, Type
from fleetlake.simulate.replay.mapping import UNITS

MILLISECONDS = pa.timestamp("ms")
NOTHING = pa.array(["", "-", "na", "n/a", "nan", "null", "none"])  # for all but texts, where "None" may be meant
NUMBER = r"^-?[0-9]{1,30}(\.[0-9]{0,30})?([eE][+-]?[0-9]{1,2})?$|^-?\.[0-9]{1,30}$"
TRUE, FALSE = pa.array(["true", "1", "yes", "on"]), pa.array(["false", "0", "no", "off"])
DATE_TIME = re.compile(r"\d{4}([-/])\d\d\1\d\d[T ]\d\d:\d\d.*")
SINCE_1970 = re.compile(r"\d{9,19}(\.\d+)?")
DECIMALS = 6
OF_MANY_LINES = ("description", "snapshot_base64")  # columns of free text; a line break in any other value is a stray quote's doing
LINE_BREAK = r"\r\n|\n|\r"


def read_cells(text: pa.Array, column: Column, unit: str, timezone: tzinfo) -> tuple[pa.Array, pa.Array]:
    """n texts as the values of `column`, and the texts of those that could not be understood; each null where the other is not.

    Both are null where the cell is empty. A text with a line break is not understood, but where it may have many lines.
    unit: the texts', one of UNITS; the values come out in the contract's.
    timezone: of times without one. Times may be ISO 8601, also with slashes in
    the date, or seconds, milli-, micro- or nanoseconds since 1970.
    """
    text = pc.utf8_trim_whitespace(text)
    missing = pa.scalar(None, pa.string())
    if column.type is Type.STRING:
        text = pc.if_else(pc.equal(text, ""), missing, text)
        if column.name in OF_MANY_LINES:
            return text, pa.nulls(len(text), pa.string())
        broken = pc.match_substring_regex(text, LINE_BREAK)
        return pc.if_else(broken, missing, text), pc.if_else(broken, text, missing)
    text = pc.if_else(pc.is_in(pc.utf8_lower(text), NOTHING), missing, text)
    if column.type is Type.TIMESTAMP:
        values = _times(text, timezone)
    elif column.type is Type.BOOLEAN:
        values = _booleans(text)
    else:
        values = _numbers(text, column, unit)
    return values, pc.if_else(pc.is_null(values), text, missing)


def _numbers(text: pa.Array, column: Column, unit: str) -> pa.Array:
    text = pc.utf8_ltrim(text, "+")
    understood = pc.match_substring_regex(text, NUMBER)
    values = pc.if_else(understood, text, pa.scalar(None, pa.string())).cast(pa.float64())
    if unit and unit != column.unit:
        factor, offset = UNITS[column.unit][unit]
        values = pc.round(pc.add(pc.multiply(values, factor), offset), DECIMALS)
    if column.type is Type.INTEGER and pc.all(pc.equal(values, pc.trunc(values)), min_count=0).as_py():
        return values.cast(pa.int64(), safe=False)
    return values


def _booleans(text: pa.Array) -> pa.Array:
    lowered = pc.utf8_lower(text)
    neither = pa.scalar(None, pa.bool_())
    return pc.if_else(pc.is_in(lowered, TRUE), True, pc.if_else(pc.is_in(lowered, FALSE), False, neither))


def _times(text: pa.Array, timezone: tzinfo) -> pa.Array:
    """Milliseconds since 1970, UTC, rounded down; a time is parsed once however many rows have it."""
    coded = text.dictionary_encode()
    return pa.array([_milliseconds(time, timezone) for time in coded.dictionary.to_pylist()], MILLISECONDS).take(coded.indices)


def _milliseconds(text: str, timezone: tzinfo) -> int | None:
    if SINCE_1970.fullmatch(text):
        whole, _, fraction = text.partition(".")
        thousands = max(0, (len(whole) - 9) // 3)  # 9 to 11 digits are seconds, up to 14 milliseconds, and so on
        return int(whole + fraction[:3].ljust(3, "0")) // int(1000**thousands)
    if not DATE_TIME.fullmatch(text):
        return None
    try:
        time = datetime.fromisoformat(text.replace("/", "-"))
        time = (time if time.tzinfo else time.replace(tzinfo=timezone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    since = time - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000
