"""No payload and no id makes an erasure take more than time in proportion: what would take for ever, ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

FOR_EVER_S = 120  # what these take is a second or two; the square of their length, hours; more than a power of it, ages
JUDGE = """
from fleetlake.maintain.erase_name import DeviceName
from fleetlake.maintain.erase_rejects import judge_payload, mask_payload
device, payload = DeviceName({id!r}), {payload}
print(judge_payload(payload, device).name, len(mask_payload(payload, device)) > 0)
"""


@pytest.mark.parametrize(
    ("id", "payload"),
    [
        ("veh-1234", r"""b'\0' + b'\\"' * 1_000_000 + b'\\'"""), ("veh-1234", r"""b'deviceId' + b'"\\' * 1_000_000"""),
        ("veh-1234", r"""b'veh-1234' + b'"' * 1_000_000"""), ("veh-1234", r"""b'\0' + b'{"deviceId":' * 80_000"""),
        ("veh-1234", r"""b'veh-1234' + b'"deviceId"' + b' ' * 1_000_000"""), ("veh-1234", r"""b'\0' + b'deviceId:' * 100_000"""),
        ("veh-1234", r"""b'"deviceId":"veh-1234 ",' * 50_000"""), ("veh-1234", r"""b'"deviceId":"veh-1234' * 50_000"""),
        ("veh-1234", r"""b'[erased] veh-1234,' * 50_000"""), ("veh-1234", r"""b'"veh-1234":' * 50_000"""),
        ("veh-1234", r"""b'"deviceId": ' + b'9' * 1_000_000 + b'veh-1234'"""),
        ("\\" * 60 + "abc", r"""b'\\' * 2_000 + b'x'"""), ('\\"' * 60 + "abc", r"""b'\\\\"' * 59"""),
    ],
)  # fmt: skip
def test_it_ends(id: str, payload: str) -> None:
    script = JUDGE.format(id=id, payload=payload)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=FOR_EVER_S, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("magic", [b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08"])
def test_bytes_that_begin_like_frames_end_too(magic: bytes) -> None:
    script = f"from fleetlake.maintain.erase_broken import contents_of; contents_of({magic!r} * 4_000 + b'x' * (64 << 20))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=FOR_EVER_S, check=False)
    assert done.returncode == 0, done.stderr
