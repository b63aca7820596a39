"""Event ids: UUIDs in the layout of version 7, so that ids of one time lie together and readers can skip files by them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

HEX = np.frombuffer(b"".join(b"%04x" % i for i in range(1 << 16)), np.uint32)  # 16 bits to their four digits
ID_BYTES = 10  # random ones; the other six are the time
GROUPS = (0, 4, 9, 14, 19, 24, 28, 32)  # where four digits begin; dashes are between
LAYOUT = np.dtype({"names": [str(at) for at in GROUPS], "formats": [np.uint32] * 8, "offsets": GROUPS, "itemsize": 36})


def uuid7(time_ms: npt.NDArray[np.int64], rng: np.random.Generator) -> npt.NDArray[np.bytes_]:
    """n ids (S36): 48 bits of Unix milliseconds, version 7, 74 bits from `rng`. Source: RFC 9562, section 5.7."""
    return lay_out(time_ms, rng.integers(0, 256, (len(time_ms), ID_BYTES), dtype=np.uint8), version=7)


def random_bytes(key: int, counter: tuple[int, int], rows: int) -> npt.NDArray[np.uint8]:
    """rows x ID_BYTES random bytes. Row i follows from the key (128 bits), the counter and i alone, however many rows there are.

    Source: Philox 4x64, a counter-based generator (Salmon and others, Parallel random numbers: as easy as 1, 2, 3, 2011).
    """
    generator = np.random.Philox(key=key, counter=counter[0] << 192 | counter[1] << 128)
    words = generator.random_raw(2 * rows).astype("<u8", copy=False)
    return words.view(np.uint8).reshape(rows, 16)[:, :ID_BYTES]


def lay_out(time_ms: npt.NDArray[np.int64], rest: npt.NDArray[np.uint8], *, version: int) -> npt.NDArray[np.bytes_]:
    """Ids from times and n x 10 bytes, of which 6 bits give way to version and variant."""
    octets = np.empty((len(time_ms), 16), np.uint8)
    octets[:, :6] = time_ms.astype(">i8").view(np.uint8).reshape(-1, 8)[:, 2:]
    octets[:, 6:] = rest
    octets[:, 6] = (octets[:, 6] & 0x0F) | (version << 4)
    octets[:, 8] = (octets[:, 8] & 0x3F) | 0x80
    text = np.full((len(time_ms), 36), ord("-"), np.uint8).view("S36").reshape(-1)
    digits = text.view(LAYOUT)
    for name, words in zip(LAYOUT.names or (), octets.view(">u2").T, strict=True):
        digits[name] = HEX[words]
    return text
