"""The package that the Glue job runs: fleetlake as a zip, the same bytes for the same sources, and the job's script."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from fleetlake.cloud.aws.session import Aws, error_code, told
from fleetlake.foundation.errors import Missing

SCRIPT = Path(__file__).parents[4] / "deploy" / "aws" / "glue" / "raw_to_iceberg.py"
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # zip knows nothing earlier
LEFT_OUT = ("__pycache__", ".pyc")


@dataclass(frozen=True, slots=True)
class Package:
    """script: raw_to_iceberg.py. key: the folder in the bucket, named by the contents' hash, so that old runs keep their code."""

    archive: bytes
    script: bytes

    @property
    def key(self) -> str:
        return f"artifacts/{hashlib.sha256(self.archive + self.script).hexdigest()[:16]}"


def build_package() -> Package:
    """From the sources. Pure Python, as --extra-py-files needs it. Missing where fleetlake was installed without its clone."""
    if not SCRIPT.is_file():
        raise Missing("the Glue job's script is not there", where=str(SCRIPT), hint="run it in a clone of fleetlake (make cloud)")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, contents in sorted(_files(files("fleetlake"), "fleetlake")):
            entry = zipfile.ZipInfo(name, LONG_AGO)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, contents)
    return Package(out.getvalue(), SCRIPT.read_bytes())


def upload_package(aws: Aws, bucket: str, package: Package) -> bool:
    """Puts it below its key; False if it was there."""
    client = aws.client("s3")
    contents = {"fleetlake.zip": package.archive, "raw_to_iceberg.py": package.script}
    uploaded = False
    for name, body in contents.items():
        key = f"{package.key}/{name}"
        with told(f"s3://{bucket}/{key}"):
            try:
                client.head_object(Bucket=bucket, Key=key)
            except client.exceptions.ClientError as error:
                if error_code(error) not in ("404", "NoSuchKey", "NotFound"):
                    raise
                client.put_object(Bucket=bucket, Key=key, Body=body)
                uploaded = True
    return uploaded


def _files(folder: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.name.endswith(LEFT_OUT):
            continue
        inner = f"{name}/{entry.name}"
        if entry.is_dir():
            yield from _files(entry, inner)
        else:
            yield inner, entry.read_bytes()
