"""What a warehouse says of whose it is, and the lakes whose catalog is a server's, for which that is all there is."""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pyiceberg.io.pyarrow import PyArrowFileIO

from fleetlake.contracts.tables import all_tables
from fleetlake.foundation.errors import Permanent
from fleetlake.lake.catalog import Lake
from fleetlake.lake.places import local_path, sqlite_path
from fleetlake.lake.storage_errors import storage_told
from fleetlake.lake.unlisted import Claimed, require_listed, require_listed_now

OBJECT, OF_HOME = "fleetlake-lake.json", "lake.json"
SHARED = "give this home a warehouse of its own: --set lake.properties.warehouse=FOLDER, or no such setting; see docs/deployment.md"
ADOPT = "fleetlake adopt makes the copy a lake of its own; until then it is only read"


@dataclass(frozen=True, slots=True)
class Owner:
    """What the warehouse says: the lake's id, and its catalog. machine: where a catalog that is a file lies."""

    id: str
    created: str
    catalog: str
    machine: str

    def __str__(self) -> str:
        return f"lake {self.id} of catalog {self.catalog}"


class Copied(Claimed):
    """The lake is a copy whose metadata names the original's files. original: the folder they are in."""

    def __init__(self, what: str, original: Path, *, where: str) -> None:
        super().__init__(what, where=where, hint=ADOPT)
        self.original = original


def owner_of(lake: Lake, root: str) -> Owner | None:
    """What a warehouse says of whose it is; None if it says nothing. Permanent if that can't be read."""
    return _owner_at(lake.catalog.properties, root)


def require_catalog_file(properties: Mapping[str, Any]) -> None:
    """Claimed if the catalog is an SQLite file that is not there, though the warehouse holds its rows: before it is made, empty.

    A warehouse of another catalog is left to those who know whose it is.
    """
    file, warehouse = sqlite_path(str(properties.get("uri", ""))), str(properties.get("warehouse", ""))
    folder = local_path(warehouse)
    if file is None or file.is_file() or not warehouse or (folder and not Path(folder).is_dir()):
        return
    owner = _owner_at(properties, warehouse)
    is_here = owner is None or owner.catalog == str(file) or (local_path(warehouse) and not Path(owner.catalog).exists())
    if is_here:
        require_listed(properties, (), owner=str(owner or ""), where=str(file))


def _owner_at(properties: Mapping[str, Any], root: str) -> Owner | None:
    place = f"{root.rstrip('/')}/{OBJECT}"
    with storage_told(place):
        try:
            with PyArrowFileIO(dict(properties)).new_input(place).open() as stream:
                content = stream.read()
        except FileNotFoundError:
            return None
    try:
        fields = json.loads(content)
        return Owner(*(str(fields[name]) for name in ("id", "created", "catalog", "machine")))
    except (ValueError, KeyError, TypeError) as error:
        raise Permanent(
            "the file that says whose the warehouse is can't be read", where=place, hint="bring it back from a backup, or delete it"
        ) from error


def write_owner(lake: Lake, root: str, owner: Owner, *, replace: bool) -> None:
    """Says in the warehouse whose it is. Claimed if another was first, unless it is to be replaced."""
    content = json.dumps(asdict(owner), indent=1).encode()
    path = local_path(root)
    if path is not None:
        write_file(Path(path) / OBJECT, content, replace=replace)
    else:
        output = PyArrowFileIO(dict(lake.catalog.properties)).new_output(f"{root.rstrip('/')}/{OBJECT}")
        with storage_told(output.location), suppress(FileExistsError), output.create(overwrite=replace) as stream:
            stream.write(content)
    found = owner_of(lake, root)
    if found != owner:
        raise other_lake(root, found)


def write_file(place: Path, content: bytes, *, replace: bool) -> None:
    """Whole or not at all; where it is not to replace another, the first one stays."""
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f".{place.name}.{uuid.uuid4().hex}")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as file:  # noqa: PTH123  # with a mode
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            part.replace(place)
        else:
            with suppress(FileExistsError):
                os.link(part, place)
    finally:
        part.unlink(missing_ok=True)


def other_lake(root: str, owner: Owner | None) -> Claimed:
    whose = str(owner) if owner else "nobody, though it was just claimed"
    return Claimed(f"the warehouse belongs to {whose}", where=root, hint=SHARED)


def now() -> str:
    """The time, as it is written into a warehouse."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class ServedLake:
    """A lake whose catalog is a server's: several homes and machines may use it, so what stands in the warehouse is taken over."""

    def __init__(self, lake: Lake, home: Path) -> None:
        properties = {name: str(value) for name, value in lake.catalog.properties.items()}
        self._lake, self._memory = lake, home / OF_HOME
        self._warehouse = properties.get("warehouse", "")
        self._kind = properties.get("type", "")
        place = urlsplit(properties.get("uri", ""))
        server = f"{place.hostname or ''}{place.path}" or properties.get("glue.region", "")
        self._catalog = f"{self._kind} {server}".strip()

    def known_id(self) -> str:
        """What the warehouse says, empty if it says nothing. Claimed if it has rows of tables that the catalog has lost."""
        owner = owner_of(self._lake, self._warehouse) if self._warehouse else None
        self._require_listed(owner)
        return owner.id if owner else ""

    def require_own(self) -> str:
        """The lake's id, taken over from the warehouse, which is given one if it has none. Claimed if another lake has it."""
        if not self._warehouse:
            return ""
        is_filled = self._lake.has(all_tables()[0].name)  # asked first: what the catalog refuses is told, with nothing written
        self._lake.require_storage()
        owner = owner_of(self._lake, self._warehouse)
        if not is_filled:  # a new lake, or a catalog that has lost its tables
            self._require_listed(owner)
        if owner is None:
            made = now()
            owner = Owner(uuid.uuid4().hex, made, self._catalog, socket.gethostname())
            write_owner(self._lake, self._warehouse, owner, replace=False)
        remembered = self._remembered()
        known = remembered.get(self._warehouse, owner.id)
        if owner.catalog.partition(" ")[0] != self._kind or known != owner.id:
            raise other_lake(self._warehouse, owner)
        if self._warehouse not in remembered:
            content = json.dumps(remembered | {self._warehouse: owner.id}, indent=1).encode()
            write_file(self._memory, content, replace=True)
        return owner.id

    def _require_listed(self, owner: Owner | None) -> None:
        require_listed_now(self._lake.catalog.properties, self._lake.names, owner=str(owner or ""), where=self._catalog)

    def _remembered(self) -> dict[str, str]:
        """Warehouse to the id of its lake, as this home saw it last; nothing if that can't be read."""
        with suppress(OSError, ValueError):
            found = json.loads(self._memory.read_bytes())
            return {str(place): str(id_) for place, id_ in found.items()} if isinstance(found, dict) else {}
        return {}
