"""How long the fuzz tests run: a short time with the same examples every time, or FLEETLAKE_FUZZ=50 times as long with new ones."""

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("FLEETLAKE_FUZZ", "0"))


def fuzz(examples: int) -> settings:
    """Settings for so many examples in `make test`; a failure prints how to get it again."""
    return settings(
        max_examples=examples * max(TIMES, 1),
        derandomize=TIMES == 0,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
