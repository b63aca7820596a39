"""A bronze lake of a fleet that drives from London to Birmingham every day, made faster than events can be sent and decoded.

Some vehicles are simulated once (the simulator's physics, its events, the ingest's decoder), and every vehicle's day is one of
these drives with times, ids, odometer and fuel of its own. A vehicle is refuelled and brought back to London overnight. Positions
every TICK_S, what is not about the vehicle once a minute. Some records come late or twice, some fixes are off the road or poor,
some records are bad.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fleetlake.contracts.events import EMERGENCY, EVENTS, GPS, TRAFFIC, VEHICLE, WEATHER, Event
from fleetlake.contracts.tables import BRONZE, bronze_of
from fleetlake.ingest.decode import RAW_SCHEMA, Decoder
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.lake.commits import commit
from fleetlake.lake.write import write_files
from fleetlake.simulate.ids import ID_BYTES, lay_out
from fleetlake.simulate.run import SimulationSettings, run_simulation

FIRST_DAY = datetime(2026, 3, 2, tzinfo=UTC)
TICK_S, ONCE_A_MINUTE = 12, 60 // 12
PARTITIONS = 4
SETS_OUT_S = (4 * 3600, 20 * 3600)  # of the day; a drive takes a good two hours
FULL_PERCENT = 95.0
DUPLICATES, LATE, OFF_ROAD, POOR, BAD = 0.005, 0.005, 0.001, 0.002, 0.0005
LATE_S = (150, 600)
OF_THE_VEHICLE = {VEHICLE: ("make", "model", "model_year", "fuel_type"), GPS: ("vehicle_type",)}
Longs = npt.NDArray[np.int64]


class Kept:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.values: dict[Event, list[bytes]] = {event: [] for event in EVENTS}

    def send(self, event: Event, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        self.values[event] += values

    def flush(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Drive:
    """Bronze rows of one kind of event, drive after drive, in order of time. starts: of the drives, and the end of the last."""

    rows: pa.Table
    starts: Longs
    since_departure_ms: Longs


class Drives:
    """Drives that were simulated. Everything that is made of them follows from `seed`, the day and the vehicles."""

    def __init__(self, count: int = 100, seed: int = 11) -> None:
        kept, self._count, self._seed = Kept(), count, seed
        run_simulation(SimulationSettings(count, FIRST_DAY, TICK_S, seed, gps_noise_m=4.0), kept)
        with duckdb.connect() as con:
            bronze = {event: _decoded(event, values, con) for event, values in kept.values.items()}
            self._bad = {event: _decoded(event, [b"this is not JSON"], con) for event in EVENTS}
        self._drives = {event: _drive(event, rows, count) for event, rows in bronze.items()}
        self.fixes = len(bronze[GPS]) / count
        self._ways_km = _ways_km(self._drives[VEHICLE])

    def on_the_road(self, day: int, vehicles: int, share: float) -> Longs:
        """Those who drive on a day, by number; the others have the day off."""
        return np.flatnonzero(np.random.default_rng([self._seed, day]).random(vehicles) < share)

    def day(self, event: Event, day: int, who: Longs, first_offsets: Mapping[int, int]) -> pa.Table:
        """Bronze rows of a day of some vehicles, in the order of their arrival, which is that of their offsets."""
        drive = self._drives[event]
        rng = np.random.default_rng([self._seed, day, EVENTS.index(event)])
        which = (who * 7 + day * 3) % self._count
        counts = np.diff(drive.starts)[which]
        rows = np.concatenate([np.arange(drive.starts[i], drive.starts[i + 1]) for i in which])
        device = np.repeat(who, counts)
        out_ms = np.repeat(_sets_out_ms(who, day), counts)
        time_ms = out_ms + drive.since_departure_ms[rows]
        names = pa.array([f"bench-{i:05d}" for i in range(who.max() + 1)])
        made = drive.rows.take(pa.array(rows))
        made = _with(
            made,
            event_time=pa.array(time_ms * 1000, pa.timestamp("us", tz="UTC")),
            device_id=names.take(pa.array(device)),
            event_id=pa.array(lay_out(time_ms, rng.integers(0, 256, (len(rows), ID_BYTES), np.uint8), version=7)).cast(pa.string()),
            **self._of_the_vehicle(event, made, device, np.repeat(which, counts), day),
        )
        if event is GPS:
            made = _spoiled(made, rng)
        delay_ms = rng.integers(50, 900, len(rows))
        late = rng.random(len(rows)) < LATE
        delay_ms[late] += rng.integers(LATE_S[0] * 1000, LATE_S[1] * 1000, int(late.sum()))
        return self._arrived(event, made, device, time_ms + delay_ms, rng, first_offsets)

    def _of_the_vehicle(self, event: Event, made: pa.Table, device: Longs, which: Longs, day: int) -> dict[str, pa.Array]:
        """What a vehicle is, and its odometer, which goes on from day to day."""
        own = self._drives[event].starts[device % self._count]
        columns = {name: self._drives[event].rows[name].take(pa.array(own)) for name in OF_THE_VEHICLE.get(event, ())}
        if event is VEHICLE:
            driven = self._ways_km.max() * day + 20_000 + 137.0 * device
            columns["odometer_km"] = pa.array(np.round(made["odometer_km"].to_numpy() + driven, 3))
        return columns

    def _arrived(
        self, event: Event, made: pa.Table, device: Longs, arrival_ms: Longs, rng: np.random.Generator, first: Mapping[int, int]
    ) -> pa.Table:
        """With copies and bad records among them, in the order of their arrival, each with its place in Kafka."""
        copies, bad = np.flatnonzero(rng.random(len(made)) < DUPLICATES), np.flatnonzero(rng.random(len(made)) < BAD)
        device = np.concatenate([device, device[copies], device[bad]])
        arrival_ms = np.concatenate([arrival_ms, arrival_ms[copies] + 400, arrival_ms[bad] + 10])
        order = np.argsort(arrival_ms, kind="stable")
        nothing = self._bad[event].take(pa.array(np.zeros(len(bad), np.int64)))
        rows = pa.concat_tables([made, made.take(pa.array(copies)), nothing]).take(pa.array(order))
        device, arrival_ms = device[order], arrival_ms[order]
        partition, offset = device % PARTITIONS, np.zeros(len(device), np.int64)
        for i in range(PARTITIONS):
            inside = partition == i
            offset[inside] = first.get(i, 0) + np.arange(inside.sum())
        return _with(
            rows,
            kafka_partition=pa.array(partition.astype(np.int32)),
            kafka_offset=pa.array(offset),
            kafka_timestamp=pa.array(arrival_ms * 1000, pa.timestamp("us", tz="UTC")),
            ingested_at=pa.array((arrival_ms // 1000 + 1) * 1_000_000, pa.timestamp("us", tz="UTC")),
        )


def lake_of(home: Path) -> Lake:
    """The lake in a folder, made if it is not there."""
    return open_lake(
        LakeSettings("bench", {"type": "sql", "uri": f"sqlite:///{home}/catalog.db", "warehouse": f"file://{home}/warehouse"})
    )


def fill(lake: Lake, drives: Drives, days: range, vehicles: int, share: float = 1.0) -> int:
    """Adds days to bronze, one commit a day and table, as large as those of maintenance. Returns the GPS rows it has then."""
    lake.ensure(BRONZE)
    for event in EVENTS:
        table = lake.table(bronze_of(event).name)
        offsets = _next_offsets(lake, event)
        for day in days:
            who = drives.on_the_road(day, vehicles, share)
            if not len(who):
                continue
            rows = drives.day(event, day, who, offsets)
            placed = pa.table({"partition": rows["kafka_partition"], "offset": rows["kafka_offset"]})
            last = placed.group_by("partition").aggregate([("offset", "max")]).to_pylist()
            offsets |= {row["partition"]: row["offset_max"] + 1 for row in last}
            table = commit(table, added=write_files(table, rows, folder=uuid.uuid4().hex), properties={})
    table = lake.table(bronze_of(GPS).name)
    return sum(int(task.file.record_count) for task in table.scan().plan_files())


def _next_offsets(lake: Lake, event: Event) -> dict[int, int]:
    rows = lake.table(bronze_of(event).name).scan(selected_fields=("kafka_partition", "kafka_offset")).to_arrow()
    last = rows.group_by("kafka_partition").aggregate([("kafka_offset", "max")]).to_pylist()
    return {row["kafka_partition"]: row["kafka_offset_max"] + 1 for row in last}


def _decoded(event: Event, values: Sequence[bytes], con: duckdb.DuckDBPyConnection) -> pa.Table:
    count = len(values)
    raw = pa.table([[0] * count, list(range(count)), [FIRST_DAY] * count, list(values)], schema=RAW_SCHEMA)
    return Decoder(event, con).decode(raw, FIRST_DAY + timedelta(days=1))


def _drive(event: Event, rows: pa.Table, count: int) -> Drive:
    """Drive after drive; what is not about the vehicle once a minute. Fuel and odometer as if all set out full and new."""
    rows = rows.sort_by([("device_id", "ascending"), ("event_time", "ascending")])
    device = pc.dictionary_encode(rows["device_id"]).combine_chunks().indices.to_numpy()
    starts = np.searchsorted(device, np.arange(count + 1))
    if event in (TRAFFIC, WEATHER, EMERGENCY):
        nth = np.arange(len(rows)) - starts[device]
        kept = np.flatnonzero(nth % ONCE_A_MINUTE == 0)
        rows, device = rows.take(pa.array(kept)), device[kept]
        starts = np.searchsorted(device, np.arange(count + 1))
    time_ms = rows["event_time"].cast(pa.int64()).to_numpy() // 1000
    first = starts[device]
    if event is VEHICLE:
        odometer, fuel = rows["odometer_km"].to_numpy(), rows["fuel_level_percent"].to_numpy()
        rows = _with(
            rows,
            odometer_km=pa.array(odometer - odometer[first]),
            fuel_level_percent=pa.array(np.round(FULL_PERCENT + fuel - fuel[first], 2)),
        )
    return Drive(rows.combine_chunks(), starts, time_ms - time_ms[first])


def _ways_km(drive: Drive) -> npt.NDArray[np.float64]:
    odometer: npt.NDArray[np.float64] = drive.rows["odometer_km"].to_numpy()[drive.starts[1:] - 1]
    return odometer


def _sets_out_ms(who: Longs, day: int) -> Longs:
    """The same for all kinds of event of a vehicle's day."""
    midnight_ms = round((FIRST_DAY + timedelta(days=day)).timestamp() * 1000)
    early, latest = SETS_OUT_S
    minutes = (who * 7919 + day * 104_729) % ((latest - early) // 60)
    return midnight_ms + (early + minutes * 60) * 1000


def _spoiled(fixes: pa.Table, rng: np.random.Generator) -> pa.Table:
    """Some fixes far off, some poor."""
    drawn = rng.random((2, len(fixes)))
    latitude = fixes["latitude"].to_numpy() + np.where(drawn[0] < OFF_ROAD, 0.3, 0.0)
    accuracy_m = np.where(drawn[1] < POOR, 250.0, fixes["accuracy_m"].to_numpy())
    return _with(fixes, latitude=pa.array(latitude), accuracy_m=pa.array(accuracy_m))


def _with(rows: pa.Table, **columns: pa.Array) -> pa.Table:
    for name, values in columns.items():
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, rows.schema.field(at), values)
    return rows
