"""Event ids: UUIDs in the layout of version 7, so that ids of one time lie together and readers can skip files by them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fleetlake.simulate.words import Words

HEX = np.frombuffer(b"".join(b"%04x" % i for i in range(1 << 16)), np.uint32)  # 16 bits to their four digits
ID_BYTES = 10  # random ones; the other six are the time
GROUPS = (0, 4, 9, 14, 19, 24, 28, 32)  # where four digits begin; dashes are between
LAYOUT = np.dtype({"names": [str(at) for at in GROUPS], "formats": [np.uint32] * 8, "offsets": GROUPS, "itemsize": 36})

# What follows the time in an id, version and variant included, by the bits that are random.
GROUP_WORDS = (
    Words(f"7{i:03x}-" for i in range(1 << 12)),
    Words(f"{i:04x}-" for i in range(0x8000, 0xC000)),
    *[Words(f"{i:04x}" for i in range(1 << 16))] * 3,
)
RANDOM_BITS = np.frombuffer(bytes.fromhex("0fff 3fff ffff ffff"), np.uint64)[0]  # of the first eight bytes
ROWS_A_STEP = 2  # of the counter: it gives four words of 64 bits a step


def uuid7(time_ms: npt.NDArray[np.int64], rng: np.random.Generator) -> npt.NDArray[np.bytes_]:
    """n ids (S36): 48 bits of Unix milliseconds, version 7, 74 bits from `rng`. Source: RFC 9562, section 5.7."""
    return lay_out(time_ms, rng.integers(0, 256, (len(time_ms), ID_BYTES), dtype=np.uint8), version=7)


class RandomGroups:
    """The random parts of ids, as numbers of GROUP_WORDS. Not for use by two threads at once.

    Row i of a counter's follows from the key (128 bits), the counter and i alone, however many rows there are.
    Source: Philox 4x64, a counter-based generator (Salmon and others, Parallel random numbers: as easy as 1, 2, 3, 2011).
    """

    def __init__(self, key: int) -> None:
        self._generator, self._at = np.random.Philox(key=key), 0

    def draw(self, counter: tuple[int, int], first: int, last: int) -> npt.NDArray[np.uint16]:
        """Rows `first` to `last`, that one included: as many x 5."""
        steps, skipped = divmod(first, ROWS_A_STEP)
        start = (counter[0] << 192 | counter[1] << 128) + steps
        rows = last - first + 1 + skipped
        self._generator.advance((start - self._at) % (1 << 256))  # making another generator takes ten times as long
        drawn = self._generator.random_raw(2 * rows)
        self._at = start - (-rows // ROWS_A_STEP)
        drawn[::2] &= RANDOM_BITS
        groups: npt.NDArray[np.uint16] = drawn.view(np.uint16).byteswap(inplace=True)
        return groups.reshape(rows, 8)[skipped:, : len(GROUP_WORDS)]


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
