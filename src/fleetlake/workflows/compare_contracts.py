"""Two versions of the contracts, read from files and compared, and how that is told."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from fleetlake.contracts.compatibility import Class, Difference, verdict
from fleetlake.contracts.events import EVENTS
from fleetlake.contracts.json_schema import SCHEMA_SUFFIX, json_schema
from fleetlake.contracts.published import Contract, read_contracts
from fleetlake.foundation.errors import BadInput, Unproven

ORDERS = {
    Class.FULL: "lake and producers may be changed in any order",
    Class.BACKWARD: "change the lake first, then the producers",
    Class.FORWARD: "change the producers first, and the lake when no record of theirs from before is left to be ingested",
    Class.BREAKING: "no order of change goes without rejects or misread values",
}


def contracts_at(path: Path | None) -> dict[str, Contract]:
    """The contracts of a file, or of a folder's *.schema.json; None: this version's own. BadInput for what is none."""
    if path is None:
        return read_contracts({event.topic: json_schema(event) for event in EVENTS}, where="this version")
    files = sorted(path.glob(f"*{SCHEMA_SUFFIX}")) if path.is_dir() else [path]
    if not files:
        raise BadInput(
            "the folder has no contracts",
            where=str(path),
            allowed=f"*{SCHEMA_SUFFIX} files",
            hint=f"fleetlake contracts export --format json-schema --out {path}",
        )
    found: dict[str, Contract] = {}
    for file in files:
        for topic, contract in read_contracts(_document(file), where=str(file)).items():
            if topic in found:
                raise BadInput(f"topic {topic} has two contracts", where=f"{file} and another file of the folder")
            found[topic] = contract
    return found


def _document(file: Path) -> object:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"can't read the contract: {error.strerror}", where=str(file)) from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"the contract is not JSON: {error}", where=str(file)) from error


def print_differences(differences: list[Difference], *, as_json: bool) -> None:
    found = verdict(differences)
    if as_json:
        from fleetlake.serve.output import write_json

        listed = [asdict(difference) | {"class": difference.kind} for difference in differences]
        write_json({"class": found, "order": ORDERS[found], "differences": listed})
        return
    for difference in differences:
        place = f"{difference.topic} {difference.field}".rstrip()
        print(f"{place}: {difference.change} [{difference.kind}]")
        print(f"    records of OLD in the new lake: {difference.old_records}")
        print(f"    records of NEW in the old lake: {difference.new_records}")
        print(f"    tables: {difference.table}")
    print(f"{found}: {ORDERS[found]}" if differences else "the contracts are the same")


def require_compatible(differences: list[Difference]) -> None:
    """Unproven if the two versions can't be put in place of each other in any order."""
    if verdict(differences) is Class.BREAKING:
        places = [f"{d.topic} {d.field}".rstrip() for d in differences if d.kind is not Class.FULL]
        raise Unproven(
            "the new contracts break the old ones",
            where=", ".join(dict.fromkeys(places)),
            hint="a new optional field with a name and a column of its own, beside the old one until no producer sends that",
        )
