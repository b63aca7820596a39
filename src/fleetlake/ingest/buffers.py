"""Arrow arrays around memory that numpy or C has filled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

MAX_ARRAY_BYTES = 2**31 - 1  # Arrow's 32-bit offsets
Numbers = np.ndarray[tuple[int], np.dtype[Any]]


def join_payloads(sizes: Numbers, data: Any) -> pa.Array:
    """Values that lie one after the other in `data`, a buffer of at most MAX_ARRAY_BYTES, as an Arrow array. A size of -1: null."""
    ends, present = np.zeros(len(sizes) + 1, np.int32), sizes >= 0
    np.cumsum(np.maximum(sizes, 0), out=ends[1:])
    validity = None if present.all() else bits_of(present)
    return pa.Array.from_buffers(pa.binary(), len(sizes), [validity, pa.py_buffer(ends), pa.py_buffer(data)])


def bits_of(flags: Numbers) -> pa.Buffer:
    """Booleans as Arrow keeps them."""
    return pa.py_buffer(np.packbits(flags, bitorder="little"))
