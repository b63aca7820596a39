"""The stack's template: stack.yaml, with an optimizer for each table added if asked for, and what is in it as a list."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from fleetlake.contracts.table import Table
from fleetlake.contracts.tables import all_tables

MOST_BYTES = 51_200  # of a template that is sent with the request
KEPT_DAYS, KEPT_SNAPSHOTS, ORPHAN_DAYS = 5, 20, 7
# Expiry never takes a table's newest snapshot, and marker and offsets are in the table's properties too: engines resume after it.
OPTIMIZERS = {
    "compaction": "CompactionConfiguration: {IcebergConfiguration: {Strategy: binpack}}",
    "retention": f"RetentionConfiguration: {{IcebergConfiguration: {{SnapshotRetentionPeriodInDays: {KEPT_DAYS}, "
    f"NumberOfSnapshotsToRetain: {KEPT_SNAPSHOTS}, CleanExpiredFiles: true}}}}",
    "orphan_file_deletion": "OrphanFileDeletionConfiguration: {IcebergConfiguration: "
    f"{{OrphanFileRetentionPeriodInDays: {ORPHAN_DAYS}}}}}",
}


@dataclass(frozen=True, slots=True)
class Resource:
    """name: what AWS will call it, with parameters filled in; empty where AWS makes it up. kept: it outlives the stack."""

    logical_id: str
    type: str
    name: str
    purpose: str
    condition: str
    kept: bool


@dataclass(frozen=True, slots=True)
class TemplateParameter:
    """value: what it will be; secret: never shown."""

    name: str
    value: str
    purpose: str
    secret: bool


def template_text(*, optimizers: bool = False) -> str:
    """optimizers: three for each table of bronze, silver and gold, all of which must exist then."""
    text = (files("fleetlake.cloud.aws") / "stack.yaml").read_text("utf-8")
    return text + "".join(_optimizers_of(all_tables())) if optimizers else text


def with_names(text: str, bucket: str, view_database: str) -> str:
    """The template with these names written out: only resources whose names refer to nothing are imported when they exist."""
    for name, value in (("BucketName", bucket), ("ViewDatabase", view_database)):
        text = re.sub(rf"^(      (?:  )?\w*Name: )!Ref {name}$", rf"\g<1>{value}", text, flags=re.MULTILINE)
    return text


@cache
def parse(text: str) -> Mapping[str, Any]:
    """The template as nested values; !Ref and its like are {"Ref": ...}. The reader is that of PyIceberg's own dependency."""
    from strictyaml import ruamel  # type: ignore[import-untyped]

    class Loader(ruamel.SafeLoader):  # type: ignore[misc]
        pass

    def intrinsic(loader: Any, suffix: str, node: Any) -> dict[str, Any]:
        name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
        if isinstance(node, ruamel.ScalarNode):
            return {name: loader.construct_scalar(node)}
        build = loader.construct_sequence if isinstance(node, ruamel.SequenceNode) else loader.construct_mapping
        return {name: build(node, deep=True)}

    Loader.add_multi_constructor("!", intrinsic)
    parsed: Mapping[str, Any] = ruamel.load(text, Loader=Loader)
    return parsed


def resources(text: str, stack: str, given: Mapping[str, str]) -> tuple[Resource, ...]:
    """What the template makes, in its order. given: parameters by name."""
    names = {name: parameter.value for name, parameter in _parameters(text, given)} | {"AWS::StackName": stack}
    return tuple(
        Resource(
            logical_id,
            str(body["Type"]),
            _name_of(body.get("Properties", {}), names),
            str(body.get("Metadata", {}).get("Fleetlake", "")),
            str(body.get("Condition", "")),
            str(body.get("DeletionPolicy", "")).startswith("Retain"),
        )
        for logical_id, body in parse(text)["Resources"].items()
    )


def parameters(text: str, given: Mapping[str, str]) -> tuple[TemplateParameter, ...]:
    return tuple(parameter for _, parameter in _parameters(text, given))


def _parameters(text: str, given: Mapping[str, str]) -> Iterator[tuple[str, TemplateParameter]]:
    for name, body in parse(text)["Parameters"].items():
        value = given.get(name, str(body.get("Default", "")))
        yield name, TemplateParameter(name, value, str(body["Description"]), bool(body.get("NoEcho", False)))


def _name_of(properties: Mapping[str, Any], names: Mapping[str, str]) -> str:
    keys = ("Name", "BucketName", "RoleName", "ClusterName")
    found = next((properties[key] for key in keys if key in properties), properties.get("DatabaseInput", {}).get("Name", ""))
    if isinstance(found, str):
        return found
    text = str(found.get("Fn::Sub", f"${{{found.get('Ref', '')}}}"))
    for name, value in names.items():
        text = text.replace(f"${{{name}}}", value)
    return text


def _optimizers_of(tables: tuple[Table, ...]) -> Iterator[str]:
    for table in tables:
        logical = "".join(word.capitalize() for word in f"{table.layer}_{table.kind}".split("_"))
        for kind, settings in OPTIMIZERS.items():
            yield (
                f"\n  {logical}{kind.split('_')[0].capitalize()}:\n    Type: AWS::Glue::TableOptimizer\n"
                f"    Metadata: {{Fleetlake: {kind} of {table.name}}}\n"
                f"    Properties: {{CatalogId: !Ref AWS::AccountId, DatabaseName: {table.layer}, TableName: {table.kind}, "
                f"Type: {kind}, TableOptimizerConfiguration: {{RoleArn: !GetAtt GlueRole.Arn, Enabled: true, {settings}}}}}\n"
            )
