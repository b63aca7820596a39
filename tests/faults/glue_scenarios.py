"""The matrix on Glue's catalog and S3, as in the cloud: commits are Glue's optimistic locking instead of SQLite's."""

from __future__ import annotations

from functools import partial
from random import Random

from tests.faults.acts import Act
from tests.faults.driver import PLACES, Answer
from tests.faults.scenarios import (
    Scenario,
    answers,
    bad_weather_and_kills,
    clock_back,
    conflicts,
    kill_anytime,
    kill_at,
    zombie_at,
)


def kill_at_a_step(random: Random) -> list[Act]:
    return kill_at(random.choice(PLACES), random)


on_glue = partial(Scenario, on_s3=True, on_glue=True)
ON_GLUE: tuple[Scenario, ...] = (
    on_glue("Glue: kill -9 at a step", kill_at_a_step),
    on_glue("Glue: kill -9 at any time", kill_anytime),
    on_glue("Glue: zombie paused before the swap", partial(zombie_at, "metadata_written")),
    on_glue("Glue: commit refused, lost or late", partial(answers, (Answer.REFUSED, Answer.LOST, Answer.LANDED, Answer.LATE))),
    on_glue("Glue: conflicts with maintenance", conflicts),
    on_glue("Glue: clock set back", clock_back),
    on_glue("Glue: S3's bad day and kill -9", bad_weather_and_kills),
)
