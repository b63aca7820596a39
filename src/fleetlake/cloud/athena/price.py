"""What Athena charges for a query: by the bytes it scanned."""

from __future__ import annotations

import math
from dataclasses import dataclass

MEGABYTE, TERABYTE = 2**20, 2**40


@dataclass(frozen=True, slots=True)
class ScanPrice:
    """usd_per_tb: of data scanned. minimum_mb: charged for each query. date: of the price."""

    usd_per_tb: float
    minimum_mb: int
    source: str
    date: str


PRICE = ScanPrice(5.0, 10, "most regions; from knowledge of AWS's price page, not checked against it", "2026-11-25")


def usd_for(scanned_bytes: int, statement_type: str, price: ScanPrice = PRICE) -> float:
    """Rounded up to whole megabytes, at least the minimum; DDL and other statements that are no queries cost nothing."""
    if statement_type != "DML":
        return 0.0
    megabytes = max(math.ceil(scanned_bytes / MEGABYTE), price.minimum_mb)
    return megabytes * MEGABYTE / TERABYTE * price.usd_per_tb
