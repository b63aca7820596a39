"""Geofences from a GeoJSON file (RFC 7946), as the relation that gold.geofence_events is made of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from fleetlake.foundation.errors import BadInput
from fleetlake.geography.fence_edges import EDGE_SCHEMA, edge_table
from fleetlake.geography.fence_shapes import Shape, Unusable, shape_of

HINT = "transform.geofences in the configuration names the file; docs/examples/geofences.geojson is one that works"


@dataclass(frozen=True, slots=True)
class Fence:
    """shape: what is inside, one polygon or several, with longitudes that may pass 180 (fence_shapes.py)."""

    id: str
    name: str
    shape: Shape


def read_fences(path: Path | None) -> pa.Table:
    """The relation `fence_edges`: the borders of all fences, edge by edge (fence_edges.py); no row without a file.

    A feature is a fence: a Polygon or MultiPolygon, a Point with a property `radius_m`, a LineString or MultiLineString with a
    property `width_m`, of both sides together. Its id is the feature's `id`, else the property `id`, else the property `name`.
    BadInput names the feature that is wrong. The same file gives the same rows.
    """
    if path is None:
        return EDGE_SCHEMA.empty_table()
    fences: dict[str, Fence] = {}
    numbers: dict[str, int] = {}
    for number, feature in enumerate(_features(path), 1):
        fence = _fence(feature, f"{path}, feature {number}")
        if fence.id in fences:
            raise BadInput(
                f"features {numbers[fence.id]} and {number} have the same id {fence.id}", where=str(path),
                allowed="an id of its own for each fence", hint="the parts of one fence are one MultiPolygon or MultiLineString",
            )  # fmt: skip
        fences[fence.id], numbers[fence.id] = fence, number
    return edge_table([(fence.id, fence.name, fence.shape) for fence in fences.values()])


def _features(path: Path) -> Iterator[Any]:
    allowed = "a GeoJSON FeatureCollection or Feature"
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=_refuse)
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"the geofences can't be read: {error}", where=str(path), allowed=allowed, hint=HINT) from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"not JSON: {error}", where=str(path), allowed=allowed, hint=HINT) from error
    kind = document.get("type") if isinstance(document, dict) else None
    features = [document] if kind == "Feature" else document.get("features") if kind == "FeatureCollection" else None
    if not isinstance(features, list):
        raise BadInput(f"{kind or 'no GeoJSON type'} where features should be", where=str(path), allowed=allowed, hint=HINT)
    if not features:
        raise BadInput("no features", where=str(path), allowed="at least one fence", hint="leave transform.geofences out for none")
    yield from features


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number of JSON")


def _fence(feature: Any, where: str) -> Fence:
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        raise BadInput("not a Feature", where=where, allowed='objects with "type": "Feature"', hint=HINT)
    properties = {} if feature.get("properties") is None else feature["properties"]
    if not isinstance(properties, dict):
        raise BadInput("properties that are not an object", where=where, allowed="an object or null", hint=HINT)
    fence_id = _label(feature, "id") or _label(properties, "id") or _label(properties, "name")
    if fence_id is None:
        raise BadInput(
            "no id", where=where, allowed="a text or number as the feature's id, or as its property id or name", hint=HINT
        )
    try:
        shape = shape_of(feature.get("geometry"), properties)
    except Unusable as error:
        raise BadInput(error.what, where=f"{where} ({fence_id})", allowed=error.allowed, hint=error.hint or HINT) from error
    return Fence(fence_id, _label(properties, "name") or fence_id, shape)


def _label(of: Mapping[str, Any], name: str) -> str | None:
    value = of.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value).strip() or None
