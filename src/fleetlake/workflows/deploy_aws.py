"""The AWS stack as a user sees it: the plan, the questions, the progress, the profile that is saved."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import typer

from fleetlake.cloud.aws.deployment import Prepared, Wanted, apply_stack, destroy_stack, discard_stack, prepare_stack
from fleetlake.cloud.aws.package import build_package
from fleetlake.cloud.aws.preflight import require_names
from fleetlake.cloud.aws.session import require_region, without_accounts
from fleetlake.cloud.aws.template import parameters, resources, template_text, with_names
from fleetlake.config.profiles import save_profile, saved_value
from fleetlake.config.settings import DEFAULT_FILE, named_file
from fleetlake.config.wiring import OVERRIDES, aws_of, load_settings, region_of
from fleetlake.foundation.errors import BadInput

PROFILE = "aws"
# A commit on Glue writes the list of all kept snapshots: `deploy aws cost` shows what the 0.3 s of a local lake would lead to.
AT_FIRST: Mapping[tuple[str, ...], float] = {("ingest", "flush_age_s"): 60.0}


def print_plan(wanted: Wanted, *, template: bool, as_json: bool) -> None:
    """Every resource with what it is for, and every parameter; no secret, no credentials, no network."""
    if template and as_json:
        raise BadInput("--template and --json together", allowed="one of them")
    require_names(wanted.stack, wanted.bucket, wanted.view_database)
    region = region_of(load_settings())
    if region:
        require_region(region)
    text = template_text(optimizers=bool(wanted.optimizers))
    if template:
        typer.echo(with_names(text, wanted.bucket, wanted.view_database) if wanted.bucket else text, nl=False)
        return
    bucket = wanted.bucket or f"{wanted.stack}-<hash of account and region>"
    given = wanted.parameters(build_package().key, bucket)
    made, values = resources(text, wanted.stack, given), parameters(text, given)
    if as_json:
        shown = [{**asdict(value), "value": None if value.secret else without_accounts(value.value)} for value in values]
        plan = {
            "stack": wanted.stack,
            "region": region,
            "resources": [{**asdict(one), "name": without_accounts(one.name)} for one in made],
            "parameters": shown,
        }
        typer.echo(json.dumps(plan, indent=2))
        return
    typer.echo(f"stack {wanted.stack} in {region or '(aws.region is not set)'}: {len(made)} resources")
    for one in made:
        notes = [note for note in (f"if {one.condition}" if one.condition else "", "kept by destroy" if one.kept else "") if note]
        typer.echo(f"  {one.logical_id:22} {one.type:32} {without_accounts(one.name) or '-'}")
        typer.echo(f"  {'':22} {one.purpose}{f' ({chr(44).join(notes)})' if notes else ''}")
    typer.echo("parameters")
    for value in values:
        typer.echo(f"  {value.name:26} {'(secret)' if value.secret else without_accounts(value.value) or '-'}")


def apply_and_save(wanted: Wanted, *, yes: bool) -> None:
    """Preflight, change set, question, stack, package, profile. BadInput without a terminal unless yes; nothing was made then."""
    aws = aws_of(load_settings())
    require_region(aws.region)
    require_names(wanted.stack, wanted.bucket, wanted.view_database)
    _require_answer(yes)
    prepared = prepare_stack(aws, wanted)
    try:
        _require_same_warehouse(prepared.bucket)
    except BadInput:
        discard_stack(aws, prepared)
        raise
    _print_changes(prepared)
    if prepared.changes is not None and not yes and not typer.confirm("Apply?", err=True):
        discard_stack(aws, prepared)
        raise typer.Exit(1)
    applied = apply_stack(aws, prepared, _progress)
    typer.echo(f"stack {wanted.stack}: {'nothing to change' if prepared.changes is None else 'applied'}")
    typer.echo(f"package s3://{prepared.bucket}/{prepared.package.key}/: {'uploaded' if applied.uploaded else 'is there'}")
    _save(wanted, applied.outputs, aws.region)


def destroy_and_say(*, delete_data: bool, yes: bool) -> None:
    settings = load_settings()
    _require_answer(yes)
    what = "the stack, all tables, the bucket and every object in it" if delete_data else "the stack; bucket and tables stay"
    if not yes and not typer.confirm(f"Delete {settings.aws.stack}: {what}?", err=True):
        raise typer.Exit(1)
    bucket = destroy_stack(aws_of(settings), settings.aws.stack, _progress, delete_data=delete_data)
    kept = "" if delete_data else f"; s3://{bucket} and the Glue databases stay: --delete-data while there is a stack deletes them"
    typer.echo(f"stack {settings.aws.stack}: deleted{kept}")


def profile_of(outputs: Mapping[str, str], stack: str, region: str) -> Mapping[tuple[str, ...], str]:
    """What the stack's outputs say for the settings. No role: its ARN would tell the account, and nothing needs it."""
    bucket = outputs["Bucket"]
    return {
        ("aws", "region"): region,
        ("aws", "stack"): stack,
        ("aws", "bucket"): bucket,
        ("aws", "workgroup"): outputs["Workgroup"],
        ("aws", "view_database"): outputs["ViewDatabase"],
        ("lake", "name"): "glue",
        ("lake", "properties", "type"): "glue",
        ("lake", "properties", "warehouse"): outputs["Warehouse"],
        ("lake", "properties", "client.region"): region,
        ("lake", "properties", "glue.region"): region,
        ("lake", "properties", "s3.region"): region,
        ("spark", "landing"): f"s3a://{bucket}/landing",
        ("spark", "checkpoints"): f"s3a://{bucket}/checkpoints",
    }


def _save(wanted: Wanted, outputs: Mapping[str, str], region: str) -> None:
    chosen = OVERRIDES.get()
    file, profile = named_file(chosen) or Path(DEFAULT_FILE), chosen.profile or PROFILE
    changed = save_profile(file, profile, profile_of(outputs, wanted.stack, region), unless_set=AT_FIRST)
    typer.echo(f"{file} [profile.{profile}]: {'wrote ' + ', '.join(changed) if changed else 'nothing to change'}")


def _print_changes(prepared: Prepared) -> None:
    for change in prepared.changes.changes if prepared.changes else ():
        made_anew = " (made anew)" if change.replaced else ""
        typer.echo(f"  {change.action:7} {change.logical_id:22} {change.type}{made_anew}")


def _require_answer(yes: bool) -> None:
    if not yes and not sys.stdin.isatty():
        raise BadInput("there is no terminal to ask on", hint="the same with --yes at its end")


def _require_same_warehouse(bucket: str) -> None:
    """BadInput if the profile that would be saved has its tables elsewhere: nobody would find them any more."""
    chosen = OVERRIDES.get()
    file, profile = named_file(chosen) or Path(DEFAULT_FILE), chosen.profile or PROFILE
    found = saved_value(file, profile, ("lake", "properties", "warehouse"))
    ours = f"s3://{bucket}/warehouse"
    if found not in ("", ours):
        raise BadInput(
            f"the profile {profile} has its tables in {found}, and the stack's would be in {ours}",
            where=f"{file} [profile.{profile}.lake.properties] warehouse",
            hint="fleetlake --profile OTHER ... saves another profile",
        )


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        typer.echo(f"  {line}", err=True)
