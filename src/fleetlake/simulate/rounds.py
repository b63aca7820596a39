"""The reports of some ticks as one set of columns, and what all kinds of events make of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from fleetlake.simulate.driver import Ints
from fleetlake.simulate.fleet import Bools, Fleet
from fleetlake.simulate.geodesy import Floats
from fleetlake.simulate.route import Route
from fleetlake.simulate.world import Surroundings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RoundReport:
    """m vehicles at one tick. who: their indices in the fleet. time_ms: Unix milliseconds; all else per vehicle.

    stretch: of the route, its index. before: how many vehicles of the same tick are in the parts before this one.
    """

    who: Ints
    time_ms: int
    tick: int
    along_m: Floats
    stretch: Ints
    speed_kmh: Floats
    limit_kmh: Floats
    latitude: Floats
    longitude: Floats
    ignition: Bools
    peak_ms2: Floats
    around: Surroundings
    before: int = 0

    def parts(self, most: int) -> Iterator[RoundReport]:
        """Its vehicles in order, `most` a part; nothing if there are none."""
        if 0 < len(self.who) <= most:
            yield self
            return
        for start in range(0, len(self.who), most):
            rows = slice(start, start + most)
            own = {name: getattr(self, name)[rows] for name in PER_VEHICLE}
            yield replace(self, **own, around=self.around.of(rows), before=self.before + start)


PER_VEHICLE = tuple(field.name for field in fields(RoundReport) if field.name not in ("time_ms", "tick", "around", "before"))


def observe(fleet: Fleet, route: Route, around: Surroundings, time_s: float, start_ms: int, tick: int) -> RoundReport:
    """What the reporting vehicles report now; `around` is of the whole fleet.

    Resets their peaks, and notes who has now reported its arrival.
    """
    who = np.flatnonzero(fleet.reporting(time_s))
    along = fleet.along_m[who]
    stretch = route.stretch(along)
    latitude, longitude = route.place(along)
    report = RoundReport(
        who=who,
        time_ms=start_ms + round(time_s * 1000),
        tick=tick,
        along_m=along,
        stretch=stretch,
        speed_kmh=np.round(fleet.speed_ms[who] * 3.6, 2),
        limit_kmh=route.limit_ms[stretch] * 3.6,
        latitude=np.round(latitude, 7),
        longitude=np.round(longitude, 7),
        ignition=fleet.ignition(time_s)[who],
        peak_ms2=np.round(fleet.peak_ms2[who], 2),
        around=around.of(who),
    )
    fleet.peak_ms2[who] = 0.0
    fleet.reported_arrival |= fleet.arrived
    return report


class Round(tuple[RoundReport, ...]):
    """Reports of one or more ticks. What is made of them for one kind of event is there for the others."""

    def __new__(cls, reports: Sequence[RoundReport]) -> Round:
        return reports if isinstance(reports, Round) else super().__new__(cls, reports)

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What `make` gives. Two threads may both make it, the first time."""
        if name not in self.__dict__:
            self.__dict__[name] = make()
        return cast("T", self.__dict__[name])

    def column(self, name: str) -> npt.NDArray[Any]:
        """A column of the reports, one after the other."""
        return self.once(name, lambda: joined([getattr(report, name) for report in self]))

    def around(self, name: str) -> npt.NDArray[Any]:
        return joined([getattr(report.around, name) for report in self])

    def weather(self, name: str) -> npt.NDArray[Any]:
        return joined([getattr(report.around.weather, name) for report in self])

    def spread(self, of_ticks: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """One value a report to one a vehicle."""
        return np.repeat(of_ticks, [len(report.who) for report in self])


def joined(columns: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """One after the other."""
    return columns[0] if len(columns) == 1 else np.concatenate(columns)
