"""Places in S3 as Arrow sees them: its filesystem, made from the lake's properties, and whether a place can be listed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow.fs as pa_fs
from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import PyArrowFileIO

from fleetlake.foundation.aws_errors import aws_told


def arrow_io(io: FileIO) -> PyArrowFileIO:
    """The table's FileIO if it is Arrow's, else one of the same properties."""
    return io if isinstance(io, PyArrowFileIO) else PyArrowFileIO(io.properties)


def place_of(io: FileIO, location: str) -> tuple[pa_fs.FileSystem, str]:
    """The filesystem of a location, and the path in it."""
    arrow = arrow_io(io)
    scheme, netloc, path = arrow.parse_location(location)
    return arrow.fs_by_scheme(scheme, netloc), path


def require_listable(properties: Mapping[str, Any], location: str) -> None:
    """Missing or BadInput if the bucket is not there or may not be listed below the location; an empty place is a fine one.

    It is listed, not looked at: the answer to a look has no body, so that a wrong key and a bucket of others are the same.
    """
    with aws_told(location):
        filesystem, path = place_of(PyArrowFileIO(dict(properties)), location)
        try:
            filesystem.get_file_info(pa_fs.FileSelector(path))
        except FileNotFoundError:
            return
