"""Known vulnerabilities of what is locked: `python -m checks.advisories [--service URL] [--require | --refresh]`.

Every package, every jar, also those inside of pyspark, and the JRE are compared with the list in checks/advisories.toml, offline;
then OSV (https://osv.dev) is asked about them by name and version. Exit code 1 for an advisory that is not accepted in the list.
Without an answer only the list is known, and that is what is said: NOT ASKED, so that `make check` works offline and nobody takes
silence for good news; exit code 2 then with --require. --refresh, of `make lock`, writes what OSV says and the list lacks into it.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from checks.known_advisories import LIST, Advisory, components, jars_of_pyspark, matches, read_list
from checks.locks import ROOT, Locked

SERVICE = "https://api.osv.dev/v1/querybatch"
AT_ONCE = 1000  # what OSV takes in one request
TIMEOUT_S = 10.0


class NoAnswerError(Exception):
    """The service was not reached, or did not answer every question."""


def ask(service: str, packages: Sequence[Locked]) -> dict[Locked, list[str]]:
    """Each package's advisories, by their ids; NoAnswerError unless there is an answer for every package."""
    answered: dict[Locked, list[str]] = {}
    for first in range(0, len(packages), AT_ONCE):
        asked = packages[first : first + AT_ONCE]
        queries = [{"package": {"ecosystem": p.ecosystem, "name": p.name}, "version": p.version} for p in asked]
        results = _post(service, {"queries": queries})
        if not isinstance(results, list) or len(results) != len(asked):
            raise NoAnswerError("the answer is not one result for each package")
        for package, result in zip(asked, results, strict=True):
            if not isinstance(result, dict) or not isinstance(result.get("vulns", []), list):
                raise NoAnswerError(f"no result for {package.name}")
            answered[package] = [str(found["id"]) for found in result.get("vulns", [])]
    return answered


def _post(service: str, document: object) -> object:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(service, json.dumps(document).encode(), headers)  # noqa: S310 - main takes http(s) only
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            return json.load(answer)["results"]
    except urllib.error.URLError as error:
        raise NoAnswerError(str(error.reason)) from error
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        raise NoAnswerError(f"{type(error).__name__}: {error}") from error


def by_list(known: Sequence[Advisory], where: Mapping[Locked, Sequence[str]]) -> list[str]:
    """A line for each advisory of the list that is about what we have in a place where it is not accepted."""
    wrong: dict[tuple[Advisory, Locked], list[str]] = {}
    for advisory, package, place in matches(known, where):
        if not advisory.is_accepted_in(place):
            wrong.setdefault((advisory, package), []).append(place)
    return [
        f"{package.name.lstrip(':')} {package.version}: {advisory.id}, {advisory.what} (in {', '.join(places)};"
        f" {f'fixed in {advisory.fixed}' if advisory.fixed else 'not fixed'}; {advisory.source})"
        for (advisory, package), places in wrong.items()
    ]


def by_service(
    known: Sequence[Advisory], where: Mapping[Locked, Sequence[str]], answered: Mapping[Locked, Sequence[str]]
) -> dict[tuple[Locked, str], list[str]]:
    """Package and advisory to the places, of the service's answers that are not accepted in the list under any of their names."""
    wrong: dict[tuple[Locked, str], list[str]] = {}
    for package, ids in answered.items():
        for found in ids:
            entries = [entry for entry in known if found in (entry.id, *entry.also) and entry.affects(package)]
            places = [place for place in where[package] if not any(entry.is_accepted_in(place) for entry in entries)]
            if places:
                wrong[package, found] = places
    return wrong


def audit(
    root: Path, service: str, list_file: Path, *, spark_jars: Path | None, require: bool = False, refresh: bool = False
) -> int:
    """Prints what is known against which packages. Exit code 1 if there is something; without an answer 2 if that is required."""
    known, where = read_list(list_file), components(root, spark_jars)
    lines, gave_no_answer = by_list(known, where), ""
    asked = [package for package in where if package.ecosystem != "Java" and not package.name.startswith(":")]
    try:
        answered = ask(service, asked)
    except NoAnswerError as error:
        gave_no_answer = str(error)
    else:
        found = by_service(known, where, answered)
        lines += [f"{of.name} {of.version}: {name} (in {', '.join(places)}; OSV)" for (of, name), places in found.items()]
        if refresh:
            lines.append(_write_new(list_file, known, [key for key in found if not _is_listed(known, *key)]))
    accepted = len({advisory.id for advisory, _, place in matches(known, where) if advisory.is_accepted_in(place)})
    failed = len(lines) - bool(refresh and not gave_no_answer)
    lines.append(f"advisories: {len(where)} packages, {len(known)} advisories in the list, {accepted} accepted, {failed} to act on")
    if gave_no_answer:
        kept = "; the list stays as it was" if refresh else ""
        lines.append(
            f"advisories: NOT ASKED: {service} gave no answer ({gave_no_answer}): no more is known than the list says{kept}"
        )
    print("\n".join(lines))
    return 1 if failed and not refresh else 2 if gave_no_answer and require else 0


def _is_listed(known: Sequence[Advisory], package: Locked, name: str) -> bool:
    return any(name in (entry.id, *entry.also) and entry.of == package.name for entry in known)


def _write_new(file: Path, known: Sequence[Advisory], found: Sequence[tuple[Locked, str]]) -> str:
    """Adds entries for what the service found and the list lacks; returns a line that says so."""
    text = file.read_text()
    for package, name in found:
        text += (
            f'\n[[advisory]]\nid = "{name}"\nof = "{package.name}"\nintroduced = "{package.version}"\nwhat = "see the source"\n'
            f'source = "OSV, {name}"\n'
        )
    file.write_text(text)
    return f"advisories: {len(found)} added to {file.name}, which had {len(known)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """See audit."""
    options = argparse.ArgumentParser(prog="python -m checks.advisories", description="Known vulnerabilities of what is locked.")
    options.add_argument("--service", default=SERVICE, help="where an OSV API answers querybatch")
    either = options.add_mutually_exclusive_group()
    either.add_argument("--require", action="store_true", help="exit code 2 if it gives no answer")
    either.add_argument("--refresh", action="store_true", help="add what it knows and the list lacks; exit code 0")
    chosen = options.parse_args(arguments)
    if not chosen.service.startswith(("https://", "http://")):
        options.error(f"--service {chosen.service}: not an address")
    return audit(ROOT, chosen.service, LIST, spark_jars=jars_of_pyspark(), require=chosen.require, refresh=chosen.refresh)


if __name__ == "__main__":
    sys.exit(main())
