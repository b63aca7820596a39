"""What really happened, second by second and kept apart from what was reported: the tables gold is measured against."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fleetlake.foundation.errors import BadInput
from fleetlake.foundation.private import make_private_folder
from fleetlake.simulate.driver import HARSH
from fleetlake.simulate.fleet import Bools, Fleet
from fleetlake.simulate.geodesy import Floats
from fleetlake.simulate.motion import STEP_S
from fleetlake.simulate.route import Route

TABLES = ("trips", "stops", "harsh_events", "overspeed")
STANDING_MS = 1.0
STOP_S, OVERSPEED_S = 180.0, 10.0
WHO, BEGIN, END, ALONG, PEAK = range(5)  # rows of what Episodes has seen


class Truth:
    """Watches a fleet drive. Times are exact to STEP_S: from the first to the last instant at which something held."""

    def __init__(self, fleet: Fleet, route: Route, start_ms: int) -> None:
        self._fleet, self._route, self._start_ms = fleet, route, start_ms
        self._stops, self._overspeed = Episodes(len(fleet), STOP_S), Episodes(len(fleet), OVERSPEED_S)
        self._harsh = [Episodes(len(fleet), 0.0) for _ in HARSH]

    def note(self, time_s: float) -> None:
        """The state at a time, one step after the last one noted."""
        f = self._fleet
        self._stops.note(time_s, f.under_way(time_s) & (f.speed_ms < STANDING_MS), f.along_m, f.speed_ms)
        self._overspeed.note(time_s, f.speed_ms > self._route.limit_at_ms(f.along_m), f.along_m, f.speed_ms)
        harsh = f.harsh_until_s >= time_s
        for kind, episodes in enumerate(self._harsh):
            episodes.note(time_s, harsh & (f.harsh_kind == kind), f.along_m, f.harsh_ms2)

    def tables(self) -> Mapping[str, pa.Table]:
        """trips (of those who have arrived), stops, harsh_events and overspeed; times as UTC timestamps.

        What lasts less than STOP_S is no stop, less than OVERSPEED_S no overspeed.
        """
        f, arrived = self._fleet, self._fleet.arrived
        trips = {
            "device_id": f.device_id[arrived],
            "start_time": self._time(f.departure_s[arrived]),
            "end_time": self._time(f.arrival_s[arrived]),
            "distance_km": f.along_m[arrived] / 1000,
        }
        stops, stop_m, _ = self._table(self._stops)
        latitude, longitude = self._route.place(stop_m)
        overspeed, over_m, peak_ms = self._table(self._overspeed)
        harsh = [self._harsh_table(kind, episodes) for kind, episodes in zip(HARSH, self._harsh, strict=True)]
        return {
            "trips": pa.table(trips),
            "stops": stops.append_column("latitude", [latitude]).append_column("longitude", [longitude]),
            "harsh_events": pa.concat_tables(harsh),
            "overspeed": overspeed.append_column("peak_kmh", [peak_ms * 3.6]).append_column(
                "limit_kmh", [self._route.limit_at_ms(over_m) * 3.6]
            ),
        }

    def write(self, folder: Path) -> None:
        """One Parquet file a table; the folder exists."""
        for name, table in self.tables().items():
            pq.write_table(table, folder / f"{name}.parquet")

    def _harsh_table(self, kind: str, episodes: Episodes) -> pa.Table:
        table, _, peak_ms2 = self._table(episodes, lead_s=STEP_S)
        return table.add_column(1, "kind", pa.array([kind] * len(table), pa.string())).append_column("peak_ms2", [peak_ms2])

    def _table(self, episodes: Episodes, *, lead_s: float = 0.0) -> tuple[pa.Table, Floats, Floats]:
        """device_id, start_time (`lead_s` earlier than seen) and end_time by device and time; where they began, and their peaks."""
        seen = episodes.seen()
        seen = seen[:, np.lexsort((seen[BEGIN], seen[WHO]))]
        table = {
            "device_id": pa.array(self._fleet.device_id[seen[WHO].astype(np.int64)], pa.string()),
            "start_time": self._time(seen[BEGIN] - lead_s),
            "end_time": self._time(seen[END]),
        }
        return pa.table(table), seen[ALONG], seen[PEAK]

    def _time(self, time_s: Floats) -> pa.Array:
        return pa.array(self._start_ms + np.round(time_s * 1000).astype(np.int64), pa.timestamp("ms", tz="UTC"))


def read_truth(folder: Path) -> Mapping[str, pa.Table]:
    """The tables of a folder that `write` filled. BadInput if it is none."""
    try:
        return {name: pq.read_table(folder / f"{name}.parquet") for name in TABLES}
    except (OSError, pa.ArrowException) as error:
        raise BadInput(
            "not the truth of a simulation",
            where=str(folder),
            allowed=f"a folder with {', '.join(f'{name}.parquet' for name in TABLES)}",
            hint="fleetlake simulate prints where it wrote it, and fleetlake simulate --truth DIR says where to",
        ) from error


def prepare_folder(folder: Path) -> None:
    """Makes the folder. BadInput if that, or writing a file there, is not possible."""
    try:
        make_private_folder(folder)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise BadInput(
            f"the truth can't be written: {error.strerror}", where=str(folder), hint="another folder, --truth"
        ) from error


class Episodes:
    """Spans of time, per vehicle, in which something holds without a break; those of `shortest_s` and more are remembered."""

    def __init__(self, vehicles: int, shortest_s: float) -> None:
        self._shortest_s = shortest_s
        self._holds: Bools = np.zeros(vehicles, np.bool_)
        self._anything = False
        self._open = np.zeros((5, vehicles))
        self._open[WHO] = np.arange(vehicles)
        self._ended: list[Floats] = [np.zeros((5, 0))]

    def note(self, time_s: float, holds: Bools, along_m: Floats, value: Floats) -> None:
        """holds: for which vehicles it does now. value: of which the largest is kept."""
        anything = bool(holds.any())
        if not (anything or self._anything):
            return
        if (ended := self._long_enough(self._open[:, self._holds & ~holds])).size:
            self._ended.append(ended)
        begins = holds & ~self._holds
        self._open[BEGIN, begins], self._open[ALONG, begins], self._open[PEAK, begins] = time_s, along_m[begins], value[begins]
        self._open[END, holds] = time_s
        self._open[PEAK, holds] = np.maximum(self._open[PEAK, holds], value[holds])
        self._holds, self._anything = holds, anything

    def seen(self) -> Floats:
        """5 x m: WHO, BEGIN and END in s, ALONG (m, at the beginning), PEAK. What goes on ends, for now, with the last note."""
        return np.concatenate([*self._ended, self._long_enough(self._open[:, self._holds])], axis=1)

    def _long_enough(self, spans: Floats) -> Floats:
        return spans[:, spans[END] - spans[BEGIN] >= self._shortest_s]
