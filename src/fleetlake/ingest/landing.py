"""Which files of the raw landing are to be loaded. Pure: the names of files in, values out.

Files are known by their URIs, percent-encoded as Hadoop writes them. Whether one has been loaded is asked of the table, by the name
`source_name` gives it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, unquote, urlsplit

from fleetlake.foundation.errors import Missing

S3_SCHEME = re.compile(r"^s3[an]?://")
IN_URIS = "/_-!.~'()*,;:$&+=@"
GLOB_CHARACTERS = re.compile(r"([][{}*?\\])")


class LandingFormat(StrEnum):
    """What a landed file is: rows of bronze, or events as they are on the wire, one a line."""

    PARQUET = "parquet"
    JSON = "json"


SUFFIXES = {
    ".parquet": LandingFormat.PARQUET,
    ".json": LandingFormat.JSON,
    ".json.gz": LandingFormat.JSON,
    ".ndjson": LandingFormat.JSON,
}


@dataclass(frozen=True, slots=True)
class LandingPlan:
    """The files of a topic to load now, by their URIs, sorted."""

    parquet: tuple[str, ...] = ()
    json: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        return self.parquet + self.json


def format_of(uri: str) -> LandingFormat | None:
    """None for a file that is not the landing's."""
    return next((kind for suffix, kind in SUFFIXES.items() if uri.endswith(suffix)), None)


def source_name(uri: str) -> str:
    """What a file is called in the table: its URI, the same whichever of Hadoop's names for S3 and local files it was read by."""
    uri = S3_SCHEME.sub("s3://", uri)
    return f"file:{urlsplit(uri).path}" if uri.startswith("file:") else uri


def names_after(names: Iterable[str], moves: Sequence[tuple[str, str]]) -> set[str]:
    """The source names, and those that files have now whose folders were moved. moves: folder to folder, in their order."""
    found = set(names)
    for old, new in moves:
        before, after = f"file:{_encoded(old)}/", f"file:{_encoded(new)}/"
        found |= {after + name.removeprefix(before) for name in found if name.startswith(before)}
    return found


def _encoded(path: str) -> str:
    """As Java writes it in an URI: all that is not ASCII stays."""
    return "".join(quote(one, safe=IN_URIS) if one.isascii() else one for one in path)


def path_of(uri: str) -> str:
    """The URI as a path for Spark's readers, which decode nothing and take some characters for patterns."""
    return GLOB_CHARACTERS.sub(r"\\\1", unquote(uri))


def plan(folder: str, listed: Iterable[str], committed: Iterable[str] | None, loaded: Collection[str]) -> LandingPlan:
    """What is new in a topic's folder.

    folder: the URI of `<landing>/<topic>`. listed: the files in it now. committed: the Parquet files that the log of the streaming
    query that wrote it names, as they were called then (a landing can be copied or moved), None if there is no such log; files of a
    micro-batch that was not finished are not in it. loaded: source names the table has. Missing if a file of the log that has not
    been loaded is not there.
    """
    found: dict[LandingFormat, dict[str, str]] = {kind: {} for kind in LandingFormat}
    for uri in listed:
        kind = format_of(uri)
        if kind is not None:
            found[kind][source_name(uri)] = uri
    parquet = found[LandingFormat.PARQUET]
    if committed is not None:
        topic = folder.rstrip("/").rpartition("/")[2]
        names = [source_name(f"{folder.rstrip('/')}/{uri.rpartition(f'/{topic}/')[2]}") for uri in committed]
        gone = [name for name in names if name not in parquet and name not in loaded]
        if gone:
            raise Missing(
                f"{len(gone)} files that the landing's log names and that have not been loaded are not there",
                where=gone[0],
                hint="bring them back; without them their records would be lost",
            )
        parquet = {name: parquet[name] for name in names if name in parquet}
    return LandingPlan(_new(parquet, loaded), _new(found[LandingFormat.JSON], loaded))


def _new(files: dict[str, str], loaded: Collection[str]) -> tuple[str, ...]:
    return tuple(uri for name, uri in sorted(files.items()) if name not in loaded)


def named_in(text: str, uris: Iterable[str]) -> list[str]:
    """Those of the files that an error message speaks of, however it spells their scheme and folders."""
    return [uri for uri in uris if (name := "/" + uri.rpartition("/")[2]) in text or unquote(name) in text]
