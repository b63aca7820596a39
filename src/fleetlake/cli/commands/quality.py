"""fleetlake quality: how good each device's data is."""

from __future__ import annotations

from fleetlake.cli.reporting import AsCsv, AsJson, Asked, Device, From, Limit, To, answer


def quality(
    device: Device = None,
    start: From = None,
    until: To = None,
    limit: Limit = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Shows each device's data quality, the worst first: the share of good positions, what was wrong with the others, and how many.

    Also the longest gap, the median time between reports, late and rejected records, and the last report. What is good is decided
    by the rules of silver.positions; of rejected records those count whose payload names the device, and in a period those whose
    time can be read.

    Example: fleetlake quality --from 2026-01-01 --json
    """
    from fleetlake.serve.quality import QUALITY

    answer(QUALITY, Asked(device, start, until, limit, None, as_json, as_csv))
