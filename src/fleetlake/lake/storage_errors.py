"""What a storage says when a file can't be written or read, told as one of ours where it may pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from pyiceberg.table import Table as IcebergTable

from fleetlake.foundation.aws_errors import aws_told
from fleetlake.foundation.errors import Retryable
from fleetlake.foundation.full_disk import is_no_room

P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def storage_told(where: str) -> Iterator[None]:
    """Retryable for a disk without room, and what aws_errors makes of S3's errors; others pass. where: what was at work."""
    try:
        with aws_told(where):
            yield
    except OSError as error:
        if not is_no_room(error):
            raise
        raise Retryable(
            "there is no room left on the disk; nothing was committed",
            where=where,
            hint="make room, for example with fleetlake maintain expire or orphans, then run it again: nothing is lost",
        ) from error


def telling_of_storage(work: Callable[Concatenate[IcebergTable, P], R]) -> Callable[Concatenate[IcebergTable, P], R]:
    """The function, whose first argument is the table it works on, with errors as `storage_told` tells them."""

    @wraps(work)
    def told(table: IcebergTable, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with storage_told(f"table {'.'.join(table.name())}"):
            return work(table, *args, **kwargs)

    return told
