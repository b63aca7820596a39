"""Trips and stops by MovingPandas. Runs in an environment of its own, without fleetlake: CSV in, one JSON line out.

    python movingpandas_run.py FIXES.csv CRS SPEED_MS GAP_S DIAMETER_M STOP_S

FIXES.csv: device_id, time_ms, latitude, longitude. CRS: 4326 for degrees as they come, or the EPSG number of a projection in m.
Timed is what comes after reading.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from datetime import timedelta
from importlib.metadata import version

import geopandas as gpd
import pandas as pd

warnings.simplefilter("ignore")  # of the smoothers' library, which is not installed
import movingpandas as mpd  # noqa: E402


def main() -> None:
    source, crs = sys.argv[1], int(sys.argv[2])
    speed_ms, gap_s, diameter_m, stop_s = map(float, sys.argv[3:])
    gap, shortest_stop = timedelta(seconds=gap_s), timedelta(seconds=stop_s)
    fixes = pd.read_csv(source)
    fixes["t"] = pd.to_datetime(fixes["time_ms"], unit="ms")
    began, took = time.perf_counter(), {}

    def took_since(what: str) -> None:
        nonlocal began
        now = time.perf_counter()
        took[what], began = now - began, now

    places = gpd.points_from_xy(fixes["longitude"], fixes["latitude"])
    frame = gpd.GeoDataFrame(fixes[["device_id", "t"]], geometry=places, crs=4326).to_crs(crs)
    vehicles = mpd.TrajectoryCollection(frame, "device_id", t="t")
    took_since("trajectories")
    trips = mpd.SpeedSplitter(vehicles).split(speed=speed_ms, duration=gap)
    lengths_m = [trip.get_length() for trip in trips]
    took_since("trips")
    unbroken = mpd.ObservationGapSplitter(vehicles).split(gap=gap)
    stops = mpd.TrajectoryStopDetector(unbroken).get_stop_points(max_diameter=diameter_m, min_duration=shortest_stop)
    took_since("stops")
    found = {
        "version": version("movingpandas"),
        "seconds": took,
        "trips": [
            (_device(trip.id), _ms(trip.get_start_time()), _ms(trip.get_end_time()), length_m / 1000)
            for trip, length_m in zip(trips, lengths_m, strict=True)
        ],
        "stops": [(_device(stop.traj_id), _ms(stop.start_time), _ms(stop.end_time)) for stop in stops.itertuples()],
    }
    print(json.dumps(found))


def _device(trajectory: str) -> str:
    """Splitters number the parts of a trajectory."""
    return trajectory.rpartition("_")[0]


def _ms(instant: pd.Timestamp) -> int:
    return round(pd.Timestamp(instant).timestamp() * 1000)


if __name__ == "__main__":
    main()
