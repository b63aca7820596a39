"""A full disk is recognised by what failed, however far away, and by a look at the disks."""

import errno
import os
import sqlite3
from pathlib import Path

import pytest

from fleetlake.foundation.errors import Missing
from fleetlake.foundation.full_disk import is_no_room, note_of_full_disks


def raised(cause: BaseException) -> BaseException:
    try:
        try:
            raise cause
        except BaseException as error:
            raise Missing("the catalog can't be opened", hint="fleetlake doctor") from error
    except Missing as error:
        return error


@pytest.mark.parametrize(
    ("cause", "is_full"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/x"), True),
        (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)), True),
        (OSError(errno.EACCES, os.strerror(errno.EACCES)), False),
        (sqlite3.OperationalError("database or disk is full"), True),
        (RuntimeError("java.io.IOException: No space left on device"), True),
        (RuntimeError("the offset is full of surprises"), False),
    ],
)
def test_it_is_seen_behind_an_error_that_says_something_else(cause: BaseException, is_full: bool) -> None:
    assert is_no_room(cause) == is_no_room(raised(cause)) == is_full
    assert ("a disk or a quota was full" in note_of_full_disks(raised(cause), [])) == is_full


def test_a_disk_with_room_is_not_named(tmp_path: Path) -> None:
    assert note_of_full_disks(Missing("x"), [tmp_path, tmp_path / "not" / "there"]) == ""
    assert note_of_full_disks(None, []) == ""
