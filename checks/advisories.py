"""Known vulnerabilities of what is locked: `python -m checks.advisories [--service URL] [--require]`.

Asks OSV (https://osv.dev) about every package and jar by name and version. Without an answer nothing is known, and that is what is
said: NOT AUDITED, exit code 0 (2 with --require), so that `make check` works offline and nobody takes silence for good news.
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

from checks.locks import ROOT, Locked, read_locks

SERVICE = "https://api.osv.dev/v1/querybatch"
ACCEPTED = Path(__file__).parent / "accepted_advisories.txt"
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


def read_accepted(path: Path) -> Mapping[str, str]:
    """Advisory to why it does not matter here. ValueError for one without a reason."""
    accepted = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line and not line.startswith("#"):
            name, _, reason = line.partition(" ")
            if not reason.strip():
                raise ValueError(f"{path}:{number}: needs an advisory and why it is accepted")
            accepted[name] = reason.strip()
    return accepted


def audit(root: Path, service: str, accepted: Mapping[str, str], *, require: bool) -> int:
    """Prints what is known against which lock's packages. 0 if there is nothing, 1 if there is, without an answer 2 or 0."""
    locks, _ = read_locks(root)
    where: dict[Locked, list[str]] = {}
    for name, packages in locks.items():
        for package in packages:
            where.setdefault(Locked(package.ecosystem, package.name, package.version), []).append(name)
    try:
        answered = ask(service, list(where))
    except NoAnswerError as error:
        print(f"advisories: NOT AUDITED: {service} gave no answer ({error}); nothing is known about {len(where)} packages")
        return 2 if require else 0
    wrong = [
        f"{package.name} {package.version}: {advisory} (in {', '.join(where[package])})"
        for package, advisories in answered.items()
        for advisory in advisories
        if advisory not in accepted
    ]
    print("\n".join([*wrong, f"advisories: {len(where)} packages asked about, {len(wrong)} advisories, {len(accepted)} accepted"]))
    return 1 if wrong else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """See audit."""
    options = argparse.ArgumentParser(prog="python -m checks.advisories", description="Asks OSV about every locked package.")
    options.add_argument("--service", default=SERVICE, help="where an OSV API answers querybatch")
    options.add_argument("--require", action="store_true", help="exit code 2 if it gives no answer")
    chosen = options.parse_args(arguments)
    if not chosen.service.startswith(("https://", "http://")):
        options.error(f"--service {chosen.service}: not an address")
    return audit(ROOT, chosen.service, read_accepted(ACCEPTED), require=chosen.require)


if __name__ == "__main__":
    sys.exit(main())
