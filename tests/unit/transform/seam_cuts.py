"""Whether a table's seams are seams: a device's rows cut at them, as windows.py does it, give the rows of the whole."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pyarrow as pa

from fleetlake.contracts.tables import Table
from fleetlake.transform.models import seams_model, table_model
from fleetlake.transform.native import NativeEngine
from fleetlake.transform.settings import Thresholds
from fleetlake.transform.sources import material_of

Seam = dict[str, Any]
MOST_CUTS = 150
TIME = pa.timestamp("us", tz="UTC")
CUTS = pa.schema([("cut", pa.string()), *((name, TIME) for name in ("from_time", "to_time", "read_from", "read_to"))])
COPIES = "SELECT whole.* REPLACE (cut AS device_id) FROM {rows} AS whole, cuts"
WITHIN = " WHERE (read_from IS NULL OR event_time >= read_from) AND (read_to IS NULL OR event_time <= read_to)"
# Rows by cut. An id that is made of the device's can't be the same.
KEPT = """
    SELECT cut, made.* EXCLUDE (device_id{own_id}) FROM {made} AS made JOIN cuts ON {of_cut}
    WHERE (from_time IS NULL OR made.{start} >= from_time) AND (to_time IS NULL OR made.{start} < to_time)
    ORDER BY ALL
"""
LOST = """
    SELECT seam_time, settled_from, settled_until, cut FROM seams_of_whole JOIN cuts ON seam_time IN (from_time, to_time)
        AND (read_from IS NULL OR settled_from >= read_from) AND (read_to IS NULL OR settled_until <= read_to)
    EXCEPT SELECT seam_time, settled_from, settled_until, device_id FROM seams_of_cuts
"""


def assert_seams_hold(engine: NativeEngine, table: Table, *, beside: tuple[str, ...] = ()) -> int:
    """Of the rows of one device in the table's material: what starts in a cut is what starts there in the whole, and the seams it
    was cut at are seams of the cut too. beside: relations of the device that the model reads as well. How many seams there are.

    Each cut is a device of its own, so that the model runs once for all of them.
    """
    material, model, seams = (make(table, Thresholds()) for make in (material_of, table_model, seams_model))
    engine.materialise("whole", model.sql, model.settings)
    engine.materialise("seams_of_whole", seams.sql, seams.settings)
    found = engine.con.sql("SELECT * FROM seams_of_whole ORDER BY ALL").to_arrow_table().to_pylist()
    engine.load("cuts", pa.Table.from_pylist(cuts_at(found), schema=CUTS))
    for name in (material.name, *beside):
        copies = engine.con.sql(COPIES.format(rows=name) + (WITHIN if name == material.name else "")).to_arrow_table()
        relation = f"copies_of_{name.replace('.', '_')}"
        engine.con.register(relation, copies)
        engine.define(name, f"SELECT * FROM {relation}")
    material.define_views(engine)
    engine.materialise("of_cuts", model.sql, model.settings)
    engine.materialise("seams_of_cuts", seams.sql, seams.settings)
    own_id = "" if table.columns[0].name == "event_id" else f", {table.columns[0].name}"
    kept = {"start": table.partition_by, "own_id": own_id}
    expected = engine.rows(KEPT.format(made="whole", of_cut="true", **kept))
    assert engine.rows(KEPT.format(made="of_cuts", of_cut="cut = made.device_id", **kept)) == expected
    assert engine.rows(LOST) == []
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
