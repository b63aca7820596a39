"""What Athena charges for a query: by the bytes it scanned."""

from __future__ import annotations

import math
from functools import cache

from fleetlake.cloud.aws.cost import read_rates

MEGABYTE, TERABYTE = 2**20, 2**40
MINIMUM_MB = 10  # charged for each query
REGION = "us-east-1"  # most regions cost the same; prices.toml has a date and says what was checked


def usd_for(scanned_bytes: int, statement_type: str) -> float:
    """Rounded up to whole megabytes, at least the minimum; DDL and other statements that are no queries cost nothing."""
    if statement_type != "DML":
        return 0.0
    megabytes = max(math.ceil(scanned_bytes / MEGABYTE), MINIMUM_MB)
    return megabytes * MEGABYTE / TERABYTE * _usd_per_tb()


@cache
def _usd_per_tb() -> float:
    return float(read_rates(REGION).prices["athena_tb_scanned"])
