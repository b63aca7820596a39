"""What a month costs: quantities by hand, what flushing and compaction do to it, and price tables that can't be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetlake.cloud.aws.cost import CostPlan, Load, Rates, compare, estimate, flush_interval_s, read_rates
from fleetlake.contracts.tables import all_tables
from fleetlake.foundation.errors import BadInput

RATES = read_rates("us-east-1")
ONE = Rates(  # every price 1, every size round
    "today",
    dict.fromkeys(RATES.prices, 1.0),
    {"commit_s": 1, "noncurrent_days": 0, "compaction_gb_dpu_hour": 10, "compaction_files_dpu_hour": 1e12, "message_bytes": 100,
     "events_a_host_s": 1000},
    {"bronze.gps": 100.0},
    {"gold_a_vehicle_day": 0, "file": 1000, "metadata": 0, "metadata_a_snapshot": 0, "manifest_list": 0, "manifest": 0},
)  # fmt: skip
LOAD = Load(vehicles=1000, tick_s=10, hours_a_day=1)  # 100 rows a second and topic, 109,440 s a month
PLAN = CostPlan(60, 250_000, transform_every_s=109_440)


def usd(rates: Rates, plan: CostPlan, load: Load = LOAD) -> dict[str, float]:
    return {line.name: line.usd for line in estimate(load, plan, rates).lines}


@pytest.mark.parametrize(
    ("vehicles", "tick_s", "age_s", "rows", "interval_s"),
    [
        (1000, 10, 60, 250_000, 60),  # by age
        (1000, 10, 60, 1_000, 10),  # by rows: 100 a second
        (1000, 10, 0.3, 250_000, 1),  # a commit takes a second
        (1, 30, 10, 250_000, 30),  # a row comes every 30 s
    ],
)
def test_from_commit_to_commit(vehicles: int, tick_s: float, age_s: float, rows: int, interval_s: float) -> None:
    assert flush_interval_s(Load(vehicles, tick_s, 8), CostPlan(age_s, rows), 1.0) == interval_s


def test_quantities_by_hand() -> None:
    found = usd(ONE, PLAN)
    assert found["S3 PUT"] == pytest.approx((1824 * 5 * 4 + 6 * 4 + 9 * 6) / 1000)  # 109,440 s / 60 s = 1824 commits a table
    assert found["S3 GET, LIST"] == pytest.approx((1824 * 5 * 5 + 15 * 3) / 1000)
    assert found["S3 storage"] == pytest.approx(10_944_000 * 100 / 1e9)
    assert found["Glue catalog"] == pytest.approx((1824 * 5 + 15) * 3 / 1e6)
    assert found["Athena"] == pytest.approx(10 * 30.4 / 1000)
    assert found["EC2, ingest and transform"] == pytest.approx(24 * 30.4)
    assert found["Glue compaction"] == pytest.approx(10_944_000 * 100 / 1e9 / 10, rel=1e-6)


def test_more_events_need_more_hosts() -> None:
    found = {hosts: usd(ONE, PLAN, Load(vehicles, 10, 1)) for vehicles, hosts in ((1000, 1), (2000, 1), (2001, 2), (20_000, 10))}
    assert {hosts: lines["EC2, ingest and transform"] / (24 * 30.4) for hosts, lines in found.items()} == {
        hosts: pytest.approx(hosts) for hosts in found
    }


def test_small_files_take_room_unless_compacted() -> None:
    kept = estimate(LOAD, CostPlan(60, 250_000, 109_440, compacted=False), ONE)
    assert kept.stored_gb - estimate(LOAD, PLAN, ONE).stored_gb == pytest.approx((1824 * 5 + 6) * 1000 / 1e9)
    assert "Glue compaction" not in {line.name for line in kept.lines}


def test_metadata_grows_with_each_kept_snapshot() -> None:
    load = Load(1000, 10, 8)
    fast, slow = (estimate(load, CostPlan(age, 250_000), RATES) for age in (0.3, 60.0))
    assert fast.metadata_mb > 50 * slow.metadata_mb
    assert "metadata.json" in fast.problem
    assert slow.problem == ""


def test_longer_intervals_never_cost_more() -> None:
    found = compare(LOAD, PLAN, RATES, (0.3, 1, 10, 60))
    for compacted in (True, False):
        costs = [one.usd for plan, one in found if plan.compacted is compacted]
        assert costs == sorted(costs, reverse=True)
        assert len(costs) == 4


def test_emr_and_msk_by_hand() -> None:
    found = usd(ONE, CostPlan(60, 250_000, 109_440, emr_vcpu=4, msk=True, partitions=2))
    assert found["EMR Serverless"] == pytest.approx(30.4 * (4 + 16))
    sent = 10_944_000 * 5 * 100 / 1e9
    assert found["MSK Serverless"] == pytest.approx(24 * 30.4 * (1 + 10) + sent * 2 + sent * 7 / 30.4)
    assert "EC2, ingest and transform" not in found


def test_every_row_of_bronze_and_silver_was_measured() -> None:
    assert set(RATES.row_bytes) == {table.name for table in all_tables() if table.layer != "gold"}


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-2"])
def test_the_prices_that_are_shipped(region: str) -> None:
    assert estimate(Load(100, 3, 8), CostPlan(60, 250_000, msk=True, emr_vcpu=4), read_rates(region)).usd > 0


def test_prices_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text("date = 2027-01-01\n[moon]\n" + "".join(f"{name} = 2\n" for name in RATES.prices) + "[assumed]\ncommit_s = 5\n")
    rates = read_rates("moon", file)
    assert (rates.date, rates.prices["glue_dpu_hour"]) == ("2027-01-01", 2)
    assert (rates.assumed["commit_s"], rates.assumed["message_bytes"]) == (5, 250)


@pytest.mark.parametrize(
    ("text", "said"),
    [("[moon]\ns3_put_1000 = 'dear'\n", "is not a price"), ("[mars]\n", "no prices for moon"), ("[moon", "can't be read")],
)
def test_prices_that_can_not_be_used(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "prices.toml"
    file.write_text(text)
    with pytest.raises(BadInput, match=said):
        read_rates("moon", file)
