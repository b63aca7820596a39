"""A device's id as it may be written, and where a text that reads like it is evidence at all.

An id such as `7` or `Rain` is in every file by chance. So an id that is short or has no letter is only looked for where ids are:
in a device column, as the value of a deviceId, in the statistics of such a column. A longer one with a letter is looked for as a
whole name in every text; one of letters only, which may be a word of the format, in texts but not in the lake's own metadata.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

SHORTEST_IN_TEXT = 6  # characters of an id that is looked for in texts
MASK = "[erased]"
NAME = "0-9A-Za-z_-"
JOINTS = "-_/:."  # what stands between a device's id and the rest of an event's
SHORT = {'"': r"\\\"", "\\": r"\\\\", "/": r"\\/", "\n": r"\\n", "\r": r"\\r", "\t": r"\\t", "\b": r"\\b", "\f": r"\\f"}
WIDE_CODECS = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")


@dataclass(frozen=True)
class DeviceName:
    """An id, with the regular expressions that find it. Those in bytes are for Python's re and Arrow's RE2 alike."""

    id: str

    @property
    def is_sought_in_texts(self) -> bool:
        return len(self.id) >= SHORTEST_IN_TEXT and any(character.isalpha() for character in self.id)

    @property
    def is_sought_in_metadata(self) -> bool:
        return self.is_sought_in_texts and not self.id.isalpha()

    @cached_property
    def spelled(self) -> str:
        """The id as it is or as JSON may escape it, anywhere.

        JSON always escapes a backslash. Were each of an id's read either way by itself, a text of backslashes could be read in
        exponentially many ways, and all would be tried.
        """
        escaped = "".join(map(_spelled, self.id))
        return f"{re.escape(self.id)}|{escaped}" if "\\" in self.id else escaped

    @cached_property
    def word(self) -> re.Pattern[str]:
        """The id as a whole name: veh-1 is not in veh-10, nor in a-veh-1."""
        return re.compile(f"(?<![{NAME}])(?:{self.spelled})(?![{NAME}])")

    @cached_property
    def joined(self) -> re.Pattern[str]:
        """The id as a whole name, or joined to others by - or _."""
        return re.compile(f"(?<![0-9A-Za-z])(?:{self.spelled})(?![0-9A-Za-z])")

    @cached_property
    def member(self) -> re.Pattern[str]:
        """The id as the value of a deviceId, however the text around it is quoted or broken; group 1 comes before it."""
        return re.compile(rf"""((?i:device_?id)[\\"']*\s*[:=]\s*[\\"']*)(?:{self.spelled})(?![{NAME}])""")

    @cached_property
    def anywhere(self) -> bytes:
        """Finds the id in bytes, in UTF-8 or escaped, part of a longer name or not."""
        return f"(?:{self.spelled})".encode()

    @cached_property
    def word_in_bytes(self) -> bytes:
        name = NAME.encode()
        return b"(?:^|[^" + name + b"])" + self.anywhere + b"(?:$|[^" + name + b"])"

    @cached_property
    def values_in_bytes(self) -> tuple[bytes, ...]:
        """What may stand for the id as a value in bytes of a binary format, and last, as the member of a JSON text.

        Plain Parquet puts four bytes of length before a value, Avro and Thrift, if it is short, one: of no use for a short id.
        """
        plain = self.id.encode()
        made = [len(plain).to_bytes(4, "little") + plain]
        if self.is_sought_in_texts:
            made += [bytes([size]) + plain for size in (len(plain), 2 * len(plain)) if size < 128]
            made += [self.id.encode(codec) for codec in WIDE_CODECS]
        member = rb"""(?i:device_?id)[\\"']*\s*[:=]\s*[\\"']*""" + self.anywhere + b"(?:$|[^" + NAME.encode() + b"])"
        return (*map(re.escape, made), member)


def _spelled(character: str) -> str:
    units = character.encode("utf-16-be")
    escape = "".join(r"\\u" + "".join(map(_digit, units[at : at + 2].hex())) for at in range(0, len(units), 2))
    plain = [] if character == "\\" else [re.escape(character)]
    ways = [*plain, escape, *([SHORT[character]] if character in SHORT else [])]
    return f"(?:{'|'.join(ways)})"


def _digit(digit: str) -> str:
    return f"[{digit}{digit.upper()}]" if digit.isalpha() else digit


def readings_of(payload: bytes) -> Iterator[tuple[str, str]]:
    """Yields the texts that a payload may be, each with its codec: UTF-8 and, if there are zero bytes, UTF-16 and UTF-32.

    What is not of the codec is kept as lone surrogates where that is possible, so that `written` gives the same bytes again.
    """
    yield payload.decode("utf-8", "surrogateescape"), "utf-8"
    if b"\0" in payload:
        for codec in WIDE_CODECS:
            yield payload.decode(codec, "replace"), codec


def written(text: str, codec: str) -> bytes:
    return text.encode(codec, "surrogateescape" if codec == "utf-8" else "replace")
