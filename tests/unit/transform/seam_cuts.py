"""Whether a table's seams are seams: a device's rows cut at them, as windows.py does it, give the rows of the whole."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pyarrow as pa

from fleetlake.contracts.table import Table
from fleetlake.transform.models import seams_model, table_model
from fleetlake.transform.native import NativeEngine
from fleetlake.transform.settings import Thresholds
from fleetlake.transform.sources import material_of

Seam = dict[str, Any]
MOST_CUTS = 150
TIME = pa.timestamp("us", tz="UTC")
CUTS = pa.schema([("cut", pa.string()), *((name, TIME) for name in ("from_time", "to_time", "read_from", "read_to"))])
IN_CUT = "(read_from IS NULL OR event_time >= read_from) AND (read_to IS NULL OR event_time <= read_to)"
# Twelve random parts of a device's rows, of half of them to nine in ten.
PARTS = """
    SELECT 'part ' || number AS part, event_id, event_time, hash(event_id || number) % 10 < 5 + number % 5 AS is_in
    FROM {rows}, range(12) AS parts(number)
"""
COPIES = """
    SELECT whole.* REPLACE (cut AS device_id) FROM {rows} AS whole, cuts WHERE {in_cut}
    UNION ALL
    SELECT whole.* REPLACE (part AS device_id) FROM {rows} AS whole JOIN parts ON parts.event_id = whole.event_id AND is_in
"""
COPIES_BESIDE = """
    SELECT whole.* REPLACE (name AS device_id)
    FROM {rows} AS whole, (SELECT cut FROM cuts UNION SELECT part FROM parts) AS copies(name)
"""
# Rows by cut. An id that is made of the device's can't be the same.
KEPT = """
    SELECT cut, made.* EXCLUDE (device_id{own_id}) FROM {made} AS made JOIN cuts ON {of_cut}
    WHERE (from_time IS NULL OR made.{start} >= from_time) AND (to_time IS NULL OR made.{start} < to_time)
    ORDER BY ALL
"""
LOST = """
    SELECT seam_time, settled_from, settled_until, cut FROM seams_of_whole JOIN cuts ON seam_time IN (from_time, to_time)
        AND (read_from IS NULL OR settled_from >= read_from) AND (read_to IS NULL OR settled_until <= read_to)
    EXCEPT SELECT seam_time, settled_from, settled_until, device_id FROM seams_of_copies
"""
# Seams of a part, or of the whole, between whose settled_from and settled_until there is nothing that only the whole has.
SETTLED = """
    SELECT part, seam_time, settled_from, settled_until
    FROM {seams} AS seams JOIN (SELECT DISTINCT part FROM parts) AS each ON {of_part}
    WHERE NOT EXISTS (
        SELECT 1 FROM parts WHERE parts.part = each.part AND NOT is_in AND event_time BETWEEN settled_from AND settled_until
    )
    ORDER BY ALL
"""


def assert_seams_hold(engine: NativeEngine, table: Table, *, beside: tuple[str, ...] = ()) -> int:
    """Of the rows of one device in the table's material: what starts in a cut is what starts there in the whole, and the seams it
    was cut at are seams of the cut too. And a seam is one whatever rows are added, or taken away, outside of what it says shows it.
    beside: relations of the device that the model reads as well. Returns how many seams there are.

    Each cut, and each part of the rows, is a device of its own, so that the model runs once for all of them.
    """
    material, model, seams = (make(table, Thresholds()) for make in (material_of, table_model, seams_model))
    engine.materialise("whole", model.sql, model.settings)
    engine.materialise("seams_of_whole", seams.sql, seams.settings)
    found = engine.con.sql("SELECT * FROM seams_of_whole ORDER BY ALL").to_arrow_table().to_pylist()
    engine.load("cuts", pa.Table.from_pylist(cuts_at(found), schema=CUTS))
    engine.materialise("parts", PARTS.format(rows=material.name))
    for name in (material.name, *beside):
        copies = COPIES.format(rows=name, in_cut=IN_CUT) if name == material.name else COPIES_BESIDE.format(rows=name)
        relation = f"copies_of_{name.replace('.', '_')}"
        engine.con.register(relation, engine.con.sql(copies).to_arrow_table())
        engine.define(name, f"SELECT * FROM {relation}")
    material.define_views(engine)
    engine.materialise("of_copies", model.sql, model.settings)
    engine.materialise("seams_of_copies", seams.sql, seams.settings)

    own_id = "" if table.columns[0].name == "event_id" else f", {table.columns[0].name}"
    kept = {"start": table.partition_by, "own_id": own_id}
    expected = engine.rows(KEPT.format(made="whole", of_cut="true", **kept))
    assert engine.rows(KEPT.format(made="of_copies", of_cut="cut = made.device_id", **kept)) == expected
    assert engine.rows(LOST) == []
    of_parts = engine.rows(SETTLED.format(seams="seams_of_copies", of_part="part = seams.device_id"))
    assert of_parts == engine.rows(SETTLED.format(seams="seams_of_whole", of_part="true"))
    return len(found)


def cuts_at(seams: list[Seam]) -> list[dict[str, Any]]:
    """Everything before a seam, everything from it on, and what lies between two."""
    none: Seam = dict.fromkeys(("seam_time", "settled_from", "settled_until"))
    pairs = [(none, seam) for seam in seams] + [(seam, none) for seam in seams]
    between = [(a, b) for a, b in combinations(seams, 2) if a["seam_time"] < b["seam_time"]]
    pairs += between[:: len(between) // MOST_CUTS + 1]
    return [
        {
            "cut": f"cut {number}", "from_time": low["seam_time"], "to_time": high["seam_time"],
            "read_from": low["settled_from"], "read_to": high["settled_until"],
        }
        for number, (low, high) in enumerate(pairs)
    ]  # fmt: skip
