"""No secret in any file that is, or is about to be, committed: `python -m checks.secrets`. Works offline.

Finds what detect-secrets finds by its rules, without asking a service whether a find is live. What was looked at and is none stands
in known_secrets.txt, by its hash: a line that only moves stays known, another text in its place does not.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
KNOWN = Path(__file__).parent / "known_secrets.txt"
WORKERS = 2
FEW = 50  # files that are scanned before a process has started


@dataclass(frozen=True, slots=True)
class Find:
    """What looks like a secret. file: relative to the folder that was scanned. digest: SHA-1 of its text, which is not kept."""

    file: str
    line: int
    rule: str
    digest: str

    @property
    def entry(self) -> str:
        """Its line in known_secrets.txt, without the reason."""
        return f"{self.file} {self.digest}"


def committed(root: Path) -> list[str]:
    """Files of a work tree that git has or would take; ValueError where git can't say."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
    if listed.returncode:
        raise ValueError(f"git can't list the files of {root}: {listed.stderr.decode(errors='replace').strip()}")
    names = sorted(set(listed.stdout.decode().split("\0")) - {""})
    return [name for name in names if (root / name).is_file()]


def find_secrets(root: Path, names: list[str]) -> list[Find]:
    """What is found in the files, in the order of files and lines."""
    if len(names) <= FEW:
        return sorted(_scan(root, names), key=_place)
    shares = [names[worker::WORKERS] for worker in range(WORKERS)]
    with ProcessPoolExecutor(WORKERS) as pool:
        found = [find for share in pool.map(_scan, [root] * WORKERS, shares) for find in share]
    return sorted(found, key=_place)


def _place(find: Find) -> tuple[str, int, str]:
    return find.file, find.line, find.rule


def _scan(root: Path, names: list[str]) -> list[Find]:
    from detect_secrets.core.scan import scan_file
    from detect_secrets.settings import default_settings

    found: list[Find] = []
    with default_settings():  # these do not ask anybody whether a secret works
        for name in names:
            secrets = scan_file(str(root / name))
            found += [Find(name, secret.line_number, secret.type, secret.secret_hash) for secret in secrets]
    return found


def read_known(path: Path) -> Mapping[str, str]:
    """Entry (file and hash) to the reason why it is no secret. ValueError for a line without one."""
    known = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line and not line.startswith("#"):
            file, _, rest = line.partition(" ")
            digest, _, reason = rest.partition(" ")
            if not reason.strip():
                raise ValueError(f"{path}:{number}: needs a file, a hash and why it is no secret")
            known[f"{file} {digest}"] = reason.strip()
    return known


def complaints(found: list[Find], known: Mapping[str, str]) -> Iterator[str]:
    """A line for each find that is not known and for each known one that is gone."""
    for find in found:
        if find.entry not in known:
            yield f"{find.file}:{find.line}: {find.rule}; if it is none, add to checks/known_secrets.txt: {find.entry} WHY"
    for entry in sorted(known.keys() - {find.entry for find in found}):
        yield f"{entry}: no longer found; take it out of checks/known_secrets.txt"


def main(root: Path = ROOT, known: Path = KNOWN) -> int:
    """0 if there is none, 1 if there is, 2 if the files can't be told."""
    try:
        names, allowed = committed(root), read_known(known)
    except (OSError, ValueError) as error:
        print(f"secrets: {error}", file=sys.stderr)
        return 2
    wrong = list(complaints(find_secrets(root, names), allowed))
    print("\n".join([*wrong, f"secrets: {len(names)} files, {len(wrong)} to look at, {len(allowed)} known to be none"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
