"""fleetlake deploy aws."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fleetlake.cloud.aws.deployment import Wanted

app = typer.Typer(add_completion=False, no_args_is_help=True)
KmsKey = Annotated[str | None, typer.Option("--kms-key", metavar="ARN", help="Encrypt with this key; '' for S3's own.")]
Emr = Annotated[bool | None, typer.Option("--emr/--no-emr", help="An EMR Serverless application.")]
Subnets = Annotated[
    str | None, typer.Option("--msk-subnets", metavar="ID,ID", help="An MSK Serverless cluster there; '' for none.")
]
Groups = Annotated[str | None, typer.Option("--msk-security-groups", metavar="ID,...", help="Its security groups.")]
Optimizers = Annotated[
    bool | None, typer.Option("--optimizers/--no-optimizers", help="Glue's table optimizers; the tables must be there.")
]
SHIPPED_PRICES = "src/fleetlake/cloud/aws/prices.toml"
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask.")]


@app.callback()
def _group() -> None:
    """The CloudFormation stack: bucket, Glue databases and job, Athena workgroup, roles. docs/aws.md has the details.

    Example: fleetlake deploy aws plan
    """


@app.command()
def plan(
    kms_key: KmsKey = None,
    emr: Emr = None,
    msk_subnets: Subnets = None,
    msk_security_groups: Groups = None,
    optimizers: Optimizers = None,
    template: Annotated[bool, typer.Option("--template", help="Print the template instead.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Shows every resource and parameter. Needs no credentials and no network; it does not know what is there already.

    Example: fleetlake deploy aws plan
    """
    from fleetlake.workflows.deploy_aws import print_plan

    print_plan(_wanted(kms_key, emr, msk_subnets, msk_security_groups, optimizers), template=template, as_json=as_json)


@app.command()
def apply(
    kms_key: KmsKey = None,
    emr: Emr = None,
    msk_subnets: Subnets = None,
    msk_security_groups: Groups = None,
    optimizers: Optimizers = None,
    yes: Yes = False,
) -> None:
    """Makes the stack or brings it up to date: shows the changes, asks, waits, uploads the job's package, saves the profile.

    Options that are not given leave their part as it is. The outputs become the profile `aws` of fleetlake.toml.

    Example: fleetlake --set aws.region=eu-west-2 deploy aws apply
    """
    from fleetlake.workflows.deploy_aws import apply_and_save

    apply_and_save(_wanted(kms_key, emr, msk_subnets, msk_security_groups, optimizers), yes=yes)


@app.command()
def destroy(
    delete_data: Annotated[bool, typer.Option("--delete-data", help="The tables, databases and the bucket too.")] = False,
    yes: Yes = False,
) -> None:
    """Deletes the stack. Bucket, databases and tables stay, unless --delete-data.

    Example: fleetlake --profile aws deploy aws destroy
    """
    from fleetlake.workflows.deploy_aws import destroy_and_say

    destroy_and_say(delete_data=delete_data, yes=yes)


@app.command()
def cost(
    vehicles: Annotated[int, typer.Option(min=1, help="How many.")],
    tick: Annotated[float, typer.Option(min=0.01, help="Seconds between two reports of a vehicle.")],
    hours_a_day: Annotated[float, typer.Option(min=0.01, max=24, help="That each drives.")] = 8.0,
    region: Annotated[str | None, typer.Option(help="Whose prices; aws.region, or else us-east-1, unless given.")] = None,
    prices: Annotated[Path | None, typer.Option(help="Another price table, a copy of cloud/aws/prices.toml.")] = None,
    transform_every: Annotated[float, typer.Option(min=1, help="Seconds from one transform to the next.")] = 300.0,
    athena_gb_a_day: Annotated[float, typer.Option(min=0, help="Scanned by queries.")] = 10.0,
    emr_vcpu: Annotated[int, typer.Option(min=0, help="vCPUs of EMR Serverless; 0: the native engine on one host.")] = 0,
    msk: Annotated[bool, typer.Option("--msk", help="Kafka is MSK Serverless; else it is not counted.")] = False,
    compaction: Annotated[bool, typer.Option("--compaction/--no-compaction", help="Whether table optimizers run.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Estimates a month: requests, storage, compute, each with its formula; and what other flush intervals would do to it.

    Flush interval, rows and partitions are the configuration's (ingest.flush_age_s, ...). Needs no credentials and no network.

    Example: fleetlake --set ingest.flush_age_s=60 deploy aws cost --vehicles 1000 --tick 10
    """
    from math import isfinite

    from fleetlake.cloud.aws.cost import CostPlan, Load, read_rates
    from fleetlake.config.wiring import load_settings, region_of
    from fleetlake.foundation.errors import BadInput
    from fleetlake.workflows.cost import print_cost

    settings = load_settings()
    for name, value in (("--tick", tick), ("--transform-every", transform_every), ("--athena-gb-a-day", athena_gb_a_day)):
        if not isfinite(value):
            raise BadInput(f"{value} is no number to reckon with", where=name)
    rates = read_rates(region or region_of(settings) or "us-east-1", prices)
    plan = CostPlan(
        settings.ingest.flush_age_s,
        settings.ingest.flush_rows,
        transform_every,
        compaction,
        athena_gb_a_day=athena_gb_a_day,
        emr_vcpu=emr_vcpu,
        msk=msk,
        partitions=settings.kafka.partitions,
    )
    print_cost(Load(vehicles, tick, hours_a_day), plan, rates, prices=str(prices or SHIPPED_PRICES), as_json=as_json)


def _wanted(
    kms_key: str | None, emr: bool | None, msk_subnets: str | None, msk_security_groups: str | None, optimizers: bool | None
) -> Wanted:
    from fleetlake.cloud.aws.deployment import Wanted
    from fleetlake.config.wiring import load_settings

    aws = load_settings().aws
    return Wanted(
        aws.stack,
        aws.bucket,
        aws.view_database,
        aws.ingest_principal,
        kms_key,
        emr,
        msk_subnets,
        msk_security_groups,
        optimizers,
    )
