"""How well gold tells what happened: the episodes it found, matched one to one with the true ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fleetlake.contracts.gold import DRIVING_EVENTS_KINDS

EARTH_RADIUS_M = 6_371_008.8
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TRIPS, STOPS, OVERSPEED, HARSH = "trips", "stops", "overspeed", "harsh_"
MEASURES = (TRIPS, STOPS, *DRIVING_EVENTS_KINDS)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Spread:
    """Sizes of an error over the episodes that were matched."""

    median: float
    worst: float


@dataclass(frozen=True, slots=True)
class Episode:
    """Something a device did, from one time to another."""

    device_id: str
    start_time: datetime
    end_time: datetime


@dataclass(frozen=True, slots=True)
class Accuracy:
    """One measure. missed: true episodes that were not found. false: what was found and is none of them.

    Errors are None where nothing was matched; distances are of trips, positions of stops.
    """

    measure: str
    true: int
    found: int
    matched: int
    start_error_s: Spread | None
    end_error_s: Spread | None
    distance_error_percent: Spread | None
    position_error_m: Spread | None
    missed: tuple[Episode, ...]
    false: tuple[Episode, ...]

    @property
    def precision(self) -> float:
        """The share of what was found that is true; 1 where nothing was found."""
        return self.matched / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """The share of what is true that was found; 1 where nothing happened."""
        return self.matched / self.true if self.true else 1.0


@dataclass(frozen=True, slots=True)
class Bar:
    """The least precision and recall of every measure, and the largest errors of trips; None asks nothing.

    worst_trip_boundary_s: of the starts as of the ends.
    """

    precision: float
    recall: float
    worst_trip_boundary_s: float | None = None
    worst_distance_percent: float | None = None
    median_distance_percent: float | None = None

    def shortfalls(self, accuracy: Accuracy) -> Iterator[str]:
        """What is worse than asked, a line each."""
        for name, share, of, asked in (
            ("precision", accuracy.precision, accuracy.found, self.precision),
            ("recall", accuracy.recall, accuracy.true, self.recall),
        ):
            if share < asked:
                yield f"{name} of {accuracy.measure} {share:.4f} ({accuracy.matched} of {of}), below {asked:g}"
        if accuracy.measure == TRIPS and (start := accuracy.start_error_s) and (end := accuracy.end_error_s):
            yield from _above("worst start of a trip", start.worst, "s", self.worst_trip_boundary_s)
            yield from _above("worst end of a trip", end.worst, "s", self.worst_trip_boundary_s)
        if distance := accuracy.distance_error_percent:
            yield from _above("worst distance of a trip", distance.worst, "%", self.worst_distance_percent)
            yield from _above("median distance of trips", distance.median, "%", self.median_distance_percent)


def _above(what: str, error: float, unit: str, most: float | None) -> Iterator[str]:
    if most is not None and error > most:
        yield f"{what} {error:.3g} {unit} off, above {most:g} {unit}"


def compare(truth: Mapping[str, pa.Table], gold: Mapping[str, pa.Table], interval_s: float) -> tuple[Accuracy, ...]:
    """Every measure, in the order of MEASURES.

    truth: trips, stops, harsh_events and overspeed, as the simulator writes them. gold: trips, stops and driving_events.
    interval_s: between two reports of a vehicle. What lies between two of them is not seen, and the peak of a manoeuvre is in the
    report after it: so a found episode is one with the true one of its device and kind that it overlaps once it is that much longer
    on either side. Each is matched once, in the order of time: of a true one found in two parts one is false, of two found as one
    one is missed. A trip that gold calls open and that is none of the true ones does not count: the truth has those that ended.
    """
    slack_us = round(interval_s * 1e6)
    return tuple(_measure(name, _true(truth, name), _found(gold, name), slack_us) for name in MEASURES)


def _true(truth: Mapping[str, pa.Table], measure: str) -> pa.Table:
    if not measure.startswith(HARSH):
        return truth[measure]
    return truth["harsh_events"].filter(pc.field("kind") == measure.removeprefix(HARSH))


def _found(gold: Mapping[str, pa.Table], measure: str) -> pa.Table:
    return gold[measure] if measure in gold else gold["driving_events"].filter(pc.field("kind") == measure)


def _measure(measure: str, true: pa.Table, found: pa.Table, slack_us: int) -> Accuracy:
    true, found = _in_order(true), _in_order(found)
    pairs = match(true, found, slack_us)
    in_true, in_found = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    unmatched = np.setdiff1d(np.arange(found.num_rows), in_found)
    if measure == TRIPS:
        unmatched = unmatched[~found["is_open"].to_numpy()[unmatched]]
    paired = true.take(in_true), found.take(in_found)
    return Accuracy(
        measure=measure,
        true=true.num_rows,
        found=len(pairs) + len(unmatched),
        matched=len(pairs),
        start_error_s=_spread(_apart_s(*paired, "start_time")),
        end_error_s=_spread(_apart_s(*paired, "end_time")),
        distance_error_percent=_spread(_distance_error_percent(*paired)) if measure == TRIPS else None,
        position_error_m=_spread(_position_error_m(*paired)) if measure == STOPS else None,
        missed=_episodes(true, np.setdiff1d(np.arange(true.num_rows), in_true)),
        false=_episodes(found, unmatched),
    )


def match(true: pa.Table, found: pa.Table, slack_us: int) -> Sequence[tuple[int, int]]:
    """Rows of the two tables that are the same episode; each is in one pair at most.

    Both by device and start time, and no two episodes of one table overlap: then to take the earliest pair is to find the most.
    """
    trues, founds = _spans(true), _spans(found)
    pairs: list[tuple[int, int]] = []
    i = j = 0
    while i < len(trues) and j < len(founds):
        (device, start, end), (by, found_start, found_end) = trues[i], founds[j]
        if (by, found_end + slack_us) < (device, start):
            j += 1
        elif (device, end) < (by, found_start - slack_us):
            i += 1
        else:
            pairs.append((i, j))
            i, j = i + 1, j + 1
    return pairs


def _in_order(table: pa.Table) -> pa.Table:
    return table.sort_by([("device_id", "ascending"), ("start_time", "ascending")])


def _spans(table: pa.Table) -> list[tuple[str, int, int]]:
    times = _us(table, "start_time").tolist(), _us(table, "end_time").tolist()
    return list(zip(table["device_id"].to_pylist(), *times, strict=True))


def _us(table: pa.Table, name: str) -> Ints:
    """A column of times, in microseconds since 1970."""
    times: Ints = table[name].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()
    return times


def _episodes(table: pa.Table, rows: Ints) -> tuple[Episode, ...]:
    return tuple(
        Episode(device, EPOCH + timedelta(microseconds=start), EPOCH + timedelta(microseconds=end))
        for device, start, end in _spans(table.take(rows))
    )


def _apart_s(true: pa.Table, found: pa.Table, name: str) -> Floats:
    apart: Floats = np.abs(_us(found, name) - _us(true, name)) / 1e6
    return apart


def _distance_error_percent(true: pa.Table, found: pa.Table) -> Floats:
    really = true["distance_km"].to_numpy()
    error: Floats = np.abs(found["distance_km"].to_numpy() - really) / really * 100
    return error


def _position_error_m(true: pa.Table, found: pa.Table) -> Floats:
    """Great-circle distances (haversine, on a sphere)."""
    north, east, other_north, other_east = (
        np.radians(table[name].to_numpy()) for table in (true, found) for name in ("latitude", "longitude")
    )
    chord = np.sin((other_north - north) / 2) ** 2 + np.cos(north) * np.cos(other_north) * np.sin((other_east - east) / 2) ** 2
    apart: Floats = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(chord))
    return apart


def _spread(errors: Floats) -> Spread | None:
    return Spread(float(np.median(errors)), float(errors.max())) if len(errors) else None
