"""What the lake costs a month on AWS: quantities from the configuration and measured bytes, times a table of prices.

Pure: the same answer for the same arguments. Each line has its formula with the numbers in it.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from fleetlake.contracts.events import EVENTS
from fleetlake.contracts.gold import GOLD
from fleetlake.foundation.errors import BadInput

TOPICS, SILVER_TABLES = len(EVENTS), len(EVENTS) + 1
DAYS, GB = 30.4, 1e9
PUTS_APPEND, GETS_APPEND = 4, 3  # data file, manifest, list, metadata.json; metadata.json, list, a share of merged manifests
PUTS_REWRITE = 6  # two manifests more or less: files of the rows taken out are written again
GLUE_A_COMMIT = 3  # GetTable to load, GetTable and UpdateTable to commit
KEPT_METADATA = 20  # write.metadata.previous-versions-max
TOO_LARGE_MB = 20.0  # of a metadata.json that each commit reads and writes whole


@dataclass(frozen=True, slots=True)
class Rates:
    """prices: USD of one region. assumed: what was not measured. measured: bytes. date: of the prices."""

    date: str
    prices: Mapping[str, float]
    assumed: Mapping[str, float]
    row_bytes: Mapping[str, float]
    measured: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Load:
    """vehicles send one event a topic every tick_s, hours_a_day."""

    vehicles: int
    tick_s: float
    hours_a_day: float

    @property
    def rows_a_second(self) -> float:
        """Of one topic."""
        return self.vehicles / self.tick_s

    @property
    def seconds(self) -> float:
        """A month that vehicles drive."""
        return self.hours_a_day * 3600 * DAYS

    @property
    def rows(self) -> float:
        """Of one topic a month."""
        return self.rows_a_second * self.seconds


@dataclass(frozen=True, slots=True)
class CostPlan:
    """flush_*: the ingest's. transform_every_s: how often transform runs. compacted: table optimizers run, and keep kept_days of
    snapshots. athena_gb_a_day: scanned. emr_vcpu: 0 for the native engine on a host. partitions: of a topic on MSK.
    """

    flush_age_s: float
    flush_rows: int
    transform_every_s: float = 300.0
    compacted: bool = True
    kept_days: float = 5.0
    athena_gb_a_day: float = 10.0
    emr_vcpu: int = 0
    msk: bool = False
    partitions: int = 4


@dataclass(frozen=True, slots=True)
class Line:
    """usd = quantity times price."""

    name: str
    usd: float
    formula: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """commits: of all bronze tables a month. rows_a_file: of bronze as it is committed. metadata_mb: of one bronze table's
    metadata.json at the end of the month. stored_gb: then. problem: why this can't be run so; empty if it can.
    """

    lines: tuple[Line, ...]
    interval_s: float
    commits: float
    rows_a_file: float
    metadata_mb: float
    stored_gb: float
    problem: str

    @property
    def usd(self) -> float:
        return sum(line.usd for line in self.lines)


def flush_interval_s(load: Load, plan: CostPlan, commit_s: float) -> float:
    """From one commit of a table to the next: the age, or sooner when flush_rows are there.

    Never less than a commit takes, nor than it takes for a row to come.
    """
    by_rows = plan.flush_rows / load.rows_a_second
    return max(min(plan.flush_age_s, by_rows), commit_s, 1 / load.rows_a_second)


def estimate(load: Load, plan: CostPlan, rates: Rates) -> Estimate:
    """One month, the first: storage is what is there at its end."""
    size, assumed, price = rates.measured, rates.assumed, rates.prices
    interval = flush_interval_s(load, plan, assumed["commit_s"])
    commits = load.seconds / interval  # of one table
    runs = load.seconds / max(plan.transform_every_s, 1.0)
    all_commits = commits * TOPICS + runs * (SILVER_TABLES + len(GOLD))
    puts = commits * TOPICS * PUTS_APPEND + runs * (SILVER_TABLES * PUTS_APPEND + len(GOLD) * PUTS_REWRITE)
    gets = commits * TOPICS * (GETS_APPEND + 2) + runs * (SILVER_TABLES + len(GOLD)) * GETS_APPEND  # transform reads each file: 2
    row_bytes = sum(rates.row_bytes.values())
    gold_bytes = size["gold_a_vehicle_day"] * load.vehicles * DAYS
    data_bytes = load.rows * row_bytes + gold_bytes
    files_written = commits * TOPICS + runs * SILVER_TABLES
    small_bytes = 0.0 if plan.compacted else files_written * size["file"]
    kept = commits * min(1.0, plan.kept_days / DAYS) if plan.compacted else commits
    metadata = size["metadata"] + size["metadata_a_snapshot"] * kept
    old_metadata = KEPT_METADATA + commits / DAYS * assumed["noncurrent_days"]
    metadata_bytes = TOPICS * (kept * (size["manifest_list"] + size["manifest"]) + metadata * old_metadata)
    stored_gb = (data_bytes + small_bytes + metadata_bytes) / GB
    lines = [
        Line(
            "S3 PUT",
            puts / 1000 * price["s3_put_1000"],
            f"{commits:,.0f} commits x {TOPICS} tables x {PUTS_APPEND} + {runs:,.0f} transforms x ({SILVER_TABLES} silver x "
            f"{PUTS_APPEND} + {len(GOLD)} gold x {PUTS_REWRITE}) = {puts:,.0f} / 1000 x {price['s3_put_1000']}",
        ),
        Line("S3 GET, LIST", gets / 1000 * price["s3_get_1000"], f"{gets:,.0f} / 1000 x {price['s3_get_1000']}; nothing is listed"),
        Line(
            "S3 storage",
            stored_gb * price["s3_gb_month"],
            f"({load.rows:,.0f} rows a topic x {row_bytes:.0f} bytes in all tables + gold {gold_bytes / GB:.3g} GB + small files "
            f"{small_bytes / GB:.3g} GB + metadata {metadata_bytes / GB:.3g} GB) = {stored_gb:,.1f} GB x {price['s3_gb_month']}",
        ),
        Line(
            "Glue catalog",
            all_commits * GLUE_A_COMMIT / 1e6 * price["glue_requests_million"],
            f"{all_commits:,.0f} commits x {GLUE_A_COMMIT} / 1e6 x {price['glue_requests_million']}",
        ),
        Line(
            "Athena",
            plan.athena_gb_a_day * DAYS / 1000 * price["athena_tb_scanned"],
            f"{plan.athena_gb_a_day:g} GB a day x {DAYS} / 1000 x {price['athena_tb_scanned']}",
        ),
        _compute(load, plan, price, assumed["events_a_host_s"]),
    ]
    if plan.compacted:
        dpu = data_bytes / GB / assumed["compaction_gb_dpu_hour"] + files_written / assumed["compaction_files_dpu_hour"]
        formula = (
            f"({data_bytes / GB:,.1f} GB / {assumed['compaction_gb_dpu_hour']:g} + {files_written:,.0f} files / "
            f"{assumed['compaction_files_dpu_hour']:,.0f}) DPU-hours (assumed) x {price['glue_dpu_hour']}"
        )
        lines.append(Line("Glue compaction", dpu * price["glue_dpu_hour"], formula))
    if plan.msk:
        lines.append(_msk(load, plan, rates))
    metadata_mb = metadata / 1e6
    problem = f"each commit writes {metadata_mb:,.0f} MB of metadata.json" if metadata_mb > TOO_LARGE_MB else ""
    return Estimate(tuple(lines), interval, commits * TOPICS, load.rows / commits, metadata_mb, stored_gb, problem)


def compare(load: Load, plan: CostPlan, rates: Rates, ages_s: tuple[float, ...]) -> tuple[tuple[CostPlan, Estimate], ...]:
    """The same with other flush intervals, each with and without compaction."""
    plans = [replace(plan, flush_age_s=age, compacted=compacted) for age in ages_s for compacted in (True, False)]
    return tuple((one, estimate(load, one, rates)) for one in plans)


def _compute(load: Load, plan: CostPlan, price: Mapping[str, float], events_a_host_s: float) -> Line:
    if not plan.emr_vcpu:
        hours, hosts = 24 * DAYS, max(1, math.ceil(load.rows_a_second * TOPICS / events_a_host_s))
        said = f"{hosts:,} host{'s' if hosts > 1 else ''} x {hours:.0f} h x {price['ec2_hour']}"
        return Line("EC2, ingest and transform", hosts * hours * price["ec2_hour"], said)
    hours, memory = load.seconds / 3600, plan.emr_vcpu * 4
    return Line(
        "EMR Serverless",
        hours * (plan.emr_vcpu * price["emr_vcpu_hour"] + memory * price["emr_gb_hour"]),
        f"{hours:,.0f} h x ({plan.emr_vcpu} vCPU x {price['emr_vcpu_hour']} + {memory} GB x {price['emr_gb_hour']})",
    )


def _msk(load: Load, plan: CostPlan, rates: Rates) -> Line:
    price, hours = rates.prices, 24 * DAYS
    sent_gb = load.rows * TOPICS * rates.assumed["message_bytes"] / GB
    week_gb = sent_gb * 7 / DAYS  # Kafka's default retention
    usd = hours * (price["msk_cluster_hour"] + TOPICS * plan.partitions * price["msk_partition_hour"])
    usd += sent_gb * (price["msk_gb_in"] + price["msk_gb_out"]) + week_gb * price["msk_gb_month"]
    return Line(
        "MSK Serverless",
        usd,
        f"{hours:.0f} h x ({price['msk_cluster_hour']} + {TOPICS * plan.partitions} partitions x {price['msk_partition_hour']}) + "
        f"{sent_gb:,.1f} GB x ({price['msk_gb_in']} + {price['msk_gb_out']}) + {week_gb:,.1f} GB kept x {price['msk_gb_month']}",
    )


def read_rates(region: str, prices: Path | None = None) -> Rates:
    """prices: a file like prices.toml, which it is unless given. BadInput if it lacks the region or a number."""
    folder = files("fleetlake.cloud.aws")
    shipped = tomllib.loads((folder / "prices.toml").read_text("utf-8"))
    table, where = (shipped, "prices.toml") if prices is None else (_read(prices), str(prices))
    regions = [name for name, entry in table.items() if isinstance(entry, dict) and name != "assumed"]
    if region not in regions:
        raise BadInput(
            f"there are no prices for {region or 'no region'}",
            where=where,
            allowed=", ".join(regions),
            hint="--region NAME, or a copy of prices.toml with yours: --prices FILE",
        )
    assumed = {**shipped["assumed"], **table.get("assumed", {})}
    for name, value in [*((name, table[region].get(name)) for name in shipped["us-east-1"]), *assumed.items()]:
        if not isinstance(value, int | float) or value < 0:
            raise BadInput(f"{name} is not a price", where=f"{where} [{region}]", allowed="a number, 0 or more")
    measured: Any = tomllib.loads((folder / "measured.toml").read_text("utf-8"))
    return Rates(str(table.get("date", "no date")), table[region], assumed, measured["bytes_a_row"], measured["bytes"])


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"the prices can't be read: {error}", where=str(file)) from error
