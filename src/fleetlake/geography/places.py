"""Named places: what a trip's start and end are called."""

from __future__ import annotations

import csv
import io
from importlib.resources import files
from pathlib import Path

import pyarrow as pa

from fleetlake.foundation.errors import BadInput

GREAT_BRITAIN = "places.csv"
COLUMNS = ("name", "latitude", "longitude")
SCHEMA = pa.schema([("number", pa.int64()), ("name", pa.string()), ("latitude", pa.float64()), ("longitude", pa.float64())])
MOST = 10_000  # every start and end of a trip is measured against all of them


def read_places(path: Path | None = None) -> pa.Table:
    """The relation `places`: number, name, latitude, longitude; larger places of Great Britain unless a CSV file is given.

    BadInput names the line that is wrong.
    """
    where = str(path or GREAT_BRITAIN)
    try:
        text = path.read_text(encoding="utf-8") if path else files(__package__).joinpath(GREAT_BRITAIN).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"the places can't be read: {error}", where=where, hint="transform.places in the configuration") from error
    reader = csv.DictReader(io.StringIO(text))
    if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
        raise BadInput(f"no column {', '.join(missing)}", where=where, allowed=f"a header with {', '.join(COLUMNS)}")
    rows: list[dict[str, object]] = []
    for row in reader:
        try:
            name, latitude, longitude = (row["name"] or "").strip(), float(row["latitude"]), float(row["longitude"])
        except (TypeError, ValueError) as error:
            raise BadInput(f"not a place: {error}", where=f"{where}:{reader.line_num}", allowed="a name and two numbers") from error
        if not (name and abs(latitude) <= 90 and abs(longitude) <= 180):
            raise BadInput(f"not a place: {row}", where=f"{where}:{reader.line_num}", allowed="a name, degrees within 90 and 180")
        rows.append({"number": len(rows), "name": name, "latitude": latitude, "longitude": longitude})
    if len(rows) > MOST:
        raise BadInput(f"{len(rows):,} places", where=where, allowed=f"{MOST:,} at most")
    return pa.Table.from_pylist(rows, schema=SCHEMA)
