"""The people at the wheel: how they drive, where they take a break, where they will do something harsh or too fast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fleetlake.simulate.geodesy import Floats
from fleetlake.simulate.route import Route

Ints = npt.NDArray[np.int64]

HARSH = ("acceleration", "braking", "cornering")
THRESHOLDS_MS2 = np.array([2.5, 2.7, 3.4])  # Teltonika's defaults: from here on a device counts it as harsh
STRENGTH = (1.04, 1.4)  # of a harsh manoeuvre, in thresholds
HARSH_APART_M, HARSH_MOST = 5_000.0, 30  # far enough apart to be told apart at every tick
HARSH_BETWEEN_M = (8_000.0, 190_000.0)
OVERSPEED_M, OVERSPEED_SHARE = 2_500.0, 0.9  # how long, and how many of the brisk drivers do it once
CLEAR_OF_BREAK_M = 5_000.0
BREAK_S = (190.0, 280.0)  # long enough to be a stop (180 s), too short to end a trip (300 s)
SLOW_S = 288.0  # most of a break and a tick together: with slowing down and setting off it stays below the 300 s
BREAK_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Style:
    """pace: share of the speed that limit, traffic and weather allow. harsh_per_100_km: of each kind."""

    pace: float
    acceleration_ms2: float
    harsh_per_100_km: float
    share: float
    speeds: bool = False


STYLES = {
    "calm": Style(0.90, 1.0, 0.15, share=0.35),
    "normal": Style(0.96, 1.4, 0.5, share=0.45),
    "brisk": Style(0.985, 1.8, 1.2, share=0.2, speeds=True),
}


@dataclass(frozen=True, slots=True)
class Drivers:
    """n drivers and their plans for the way; inf where there is none.

    harsh_at_m: n x k, ascending, the last always inf. harsh_kind: n x k, into HARSH. harsh_ms2: n x k, how strong.
    """

    pace: Floats
    acceleration_ms2: Floats
    break_at_m: Floats
    break_s: Floats
    break_engine_off: npt.NDArray[np.bool_]
    overspeed_at_m: Floats
    harsh_at_m: Floats
    harsh_kind: Ints
    harsh_ms2: Floats


def draw_drivers(n: int, route: Route, tick_s: int, rng: np.random.Generator) -> Drivers:
    """`n` drivers who report every `tick_s`."""
    styles = tuple(STYLES.values())
    style = rng.choice(len(styles), n, p=[s.share for s in styles])
    services = np.array([route.nearest_m(*place) for place in route.services.values()])
    break_at = np.where(rng.random(n) < BREAK_SHARE, services[rng.integers(0, len(services), n)], np.inf)
    begin, end = route.longest_of_one_limit_m()
    overspeed_at = rng.uniform(begin + 1_000, end - OVERSPEED_M - 1_000, n)
    speeds = np.array([s.speeds for s in styles])[style] & (rng.random(n) < OVERSPEED_SHARE)
    speeds &= ~(np.abs(overspeed_at - break_at) < CLEAR_OF_BREAK_M)
    at, kind, strength = _harsh_plan(np.array([s.harsh_per_100_km for s in styles])[style], rng)
    return Drivers(
        pace=np.array([s.pace for s in styles])[style],
        acceleration_ms2=np.array([s.acceleration_ms2 for s in styles])[style],
        break_at_m=break_at,
        break_s=np.round(rng.uniform(BREAK_S[0], min(BREAK_S[1], SLOW_S - tick_s), n)),
        break_engine_off=rng.random(n) < 0.5,
        overspeed_at_m=np.where(speeds, overspeed_at, np.inf),
        harsh_at_m=at,
        harsh_kind=kind,
        harsh_ms2=strength,
    )


def _harsh_plan(per_100_km: Floats, rng: np.random.Generator) -> tuple[Floats, Ints, Floats]:
    """Places at least HARSH_APART_M from each other, uniform otherwise."""
    begin, end = HARSH_BETWEEN_M
    counts = np.minimum(rng.poisson(per_100_km * len(HARSH) * (end - begin) / 100_000), HARSH_MOST)
    columns = np.arange(int(counts.max()) + 1)
    drawn = np.where(columns < counts[:, None], rng.random((len(counts), len(columns))), np.inf)
    drawn.sort(axis=1)
    free_m = end - begin - np.maximum(counts - 1, 0) * HARSH_APART_M
    at = begin + drawn * free_m[:, None] + columns * HARSH_APART_M
    kind = rng.integers(0, len(HARSH), at.shape)
    return at, kind, np.round(THRESHOLDS_MS2[kind] * rng.uniform(*STRENGTH, at.shape), 2)
