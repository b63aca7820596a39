"""What really happened, kept apart from what was reported: the tables gold is measured against."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from fleetlake.foundation.errors import BadInput
from fleetlake.simulate.events import Report
from fleetlake.simulate.fleet import HARSH, THRESHOLDS_MS2, Fleet, Ints
from fleetlake.simulate.geodesy import Floats

STANDING_KMH = 3.6  # 1 m/s
STOP_MS, OVERSPEED_MS = 180_000, 10_000


class Truth:
    """Collects episodes while the fleet drives. tick_ms: a longer silence between two ticks of an episode ends it."""

    def __init__(self, fleet: Fleet, tick_ms: int) -> None:
        n = len(fleet)
        self._names, self._tick_ms = fleet.device_id, tick_ms
        self._first = np.full(n, np.iinfo(np.int64).max)
        self._last = np.zeros(n, np.int64)
        self._along_m = np.zeros(n)
        self._seen: dict[str, list[tuple[Ints, int, Floats, Floats]]] = {kind: [] for kind in (*HARSH, "stop", "overspeed")}

    def note(self, report: Report) -> None:
        """One tick."""
        self._first[report.who] = np.minimum(self._first[report.who], report.time_ms)
        self._last[report.who] = report.time_ms
        self._along_m[report.who] = report.along_m
        for column, kind in enumerate(HARSH):
            peak = report.peak_ms2[:, column]
            self._mark(kind, report, peak >= THRESHOLDS_MS2[column], peak, peak)
        self._mark("stop", report, report.speed_kmh < STANDING_KMH, report.latitude, report.longitude)
        self._mark("overspeed", report, report.speed_kmh > report.limit_kmh + 0.01, report.speed_kmh, report.limit_kmh)

    def _mark(self, kind: str, report: Report, where: npt.NDArray[np.bool_], a: Floats, b: Floats) -> None:
        if where.any():
            self._seen[kind].append((report.who[where], report.time_ms, a[where], b[where]))

    def tables(self) -> Mapping[str, pa.Table]:
        """trips, stops, harsh_events and overspeed; times as UTC timestamps.

        What lasts less than STOP_MS is no stop, less than OVERSPEED_MS no overspeed.
        """
        drove = self._last > 0
        trips = {
            "device_id": self._names[drove], "start_time": _time(self._first[drove]), "end_time": _time(self._last[drove]),
            "distance_km": self._along_m[drove] / 1000,
        }  # fmt: skip
        stops = self._episodes("stop", STOP_MS, ("latitude", "longitude"))
        overspeed = self._episodes("overspeed", OVERSPEED_MS, ("peak_kmh", "limit_kmh"))
        harsh = []
        for kind in HARSH:
            episodes = self._episodes(kind, 0, ("peak_ms2", "_")).drop_columns("_")
            harsh.append(episodes.add_column(1, "kind", pa.array([kind] * len(episodes), pa.string())))
        return {"trips": pa.table(trips), "stops": stops, "harsh_events": pa.concat_tables(harsh), "overspeed": overspeed}

    def _episodes(self, kind: str, shortest_ms: int, names: tuple[str, str]) -> pa.Table:
        """Runs of consecutive ticks per vehicle, the larger value of the two columns over the run."""
        seen = self._seen[kind]
        who = np.concatenate([part[0] for part in seen]) if seen else np.zeros(0, np.int64)
        time_ms = np.concatenate([np.full(len(part[0]), part[1]) for part in seen]) if seen else np.zeros(0, np.int64)
        a, b = (np.concatenate([part[i] for part in seen]) if seen else np.zeros(0) for i in (2, 3))
        order = np.lexsort((time_ms, who))
        who, time_ms, a, b = who[order], time_ms[order], a[order], b[order]
        begins = np.flatnonzero(np.append(True, (np.diff(who) != 0) | (np.diff(time_ms) > self._tick_ms))[: len(who)])
        ends = np.append(begins[1:], len(who))[: len(begins)] - 1
        keep = time_ms[ends] - time_ms[begins] >= shortest_ms
        largest = [np.maximum.reduceat(values, begins) if len(begins) else values for values in (a, b)]
        columns = {"device_id": self._names[who[begins]], "start_time": _time(time_ms[begins]), "end_time": _time(time_ms[ends])}
        return pa.table(columns | dict(zip(names, largest, strict=True))).filter(pa.array(keep))

    def write(self, folder: Path) -> None:
        """One Parquet file a table; the folder exists."""
        for name, table in self.tables().items():
            pq.write_table(table, folder / f"{name}.parquet")


def prepare_folder(folder: Path) -> None:
    """Makes the folder. BadInput if that, or writing a file there, is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise BadInput(
            f"the truth can't be written: {error.strerror}", where=str(folder), hint="another folder, --truth"
        ) from error


def _time(time_ms: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array(time_ms, pa.timestamp("ms", tz="UTC"))
