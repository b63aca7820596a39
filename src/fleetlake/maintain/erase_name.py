"""A device's id as it may be written, and where a text that reads like it is evidence at all.

An id such as `7` or `Rain` is in every file by chance. So an id that is short or has no letter is only looked for where ids are:
in a device column, as the value of a deviceId, in the statistics of such a column. A longer one with a letter is looked for as a
whole name in every text; one of letters only, which may be a word of the format, in texts but not in the lake's own metadata.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from fleetlake.maintain.erase_fields import words_of_the_format

SHORTEST_IN_TEXT = 6  # characters of an id that is looked for in texts
# Characters of an id that are looked for before all of them are. Arrow refuses a pattern of some 70,000 characters and more, and
# Python takes 11 s to compile one of 100,000 (2026-11-30).
BEGINNING = 200
LONGEST_ESCAPE = 12  # bytes for a character
MASK = "[erased]"
ROUNDS = 16  # of masking, which may leave the id where two of it had touched, before the text is given up
NAME = "0-9A-Za-z_-"
JOINTS = "-_/:."  # what stands between a device's id and the rest of an event's
SHORT = {'"': r"\\\"", "\\": r"\\\\", "/": r"\\/", "\n": r"\\n", "\r": r"\\r", "\t": r"\\t", "\b": r"\\b", "\f": r"\\f"}
ENTITIES = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}
MASKS = re.compile(re.escape(MASK))
WIDE_CODECS = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")


class Spans:
    """Parts of a text, none within another."""

    def __init__(self, spans: Iterable[tuple[int, int]]) -> None:
        self._spans = sorted(spans)
        self._begins = [begin for begin, _ in self._spans]

    def meet(self, begin: int, end: int) -> bool:
        """Whether one of them has a character of text[begin:end]."""
        at = bisect_right(self._begins, end - 1) - 1
        return at >= 0 and self._spans[at][1] > begin


@dataclass(frozen=True)
class DeviceName:
    """An id, with the regular expressions that find it. Those of its beginning are for Python's re and Arrow's RE2 alike."""

    id: str

    @property
    def is_sought_in_texts(self) -> bool:
        return len(self.id) >= SHORTEST_IN_TEXT and any(character.isalpha() for character in self.id)

    @property
    def is_sought_in_metadata(self) -> bool:
        """Not one that is a word of the format, or may be one."""
        return self.is_sought_in_texts and not self.id.isalpha() and self.id not in words_of_the_format()

    @cached_property
    def spelled(self) -> str:
        """The id as it is or as JSON, CSV or HTML may escape it, anywhere.

        JSON always escapes a backslash, and CSV doubles each quote. Were each of an id's read either way by itself, a text of them
        could be read in exponentially many ways, and all would be tried.
        """
        return "|".join(_ways(self.id, lambda character, way: way))

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
    def beginning(self) -> bytes:
        """Finds the beginning of the id in bytes, in UTF-8 or escaped. Where it is not, the id is not."""
        return f"(?:{'|'.join(_ways(self.id[:BEGINNING], lambda character, way: way))})".encode()

    @property
    def longest_bytes(self) -> int:
        """The most bytes that the id takes, however it is written."""
        return LONGEST_ESCAPE * len(self.id)

    def fits_into(self, text: str) -> bool:
        """Whether a text has as many characters as the id: none of its spellings has fewer."""
        return len(text) >= len(self.id)

    @cached_property
    def beginning_in_latin_bytes(self) -> bytes:
        """Finds the beginning of the id in Latin-1; empty if all of it is written there as in UTF-8, or can't be."""
        if self.id.isascii() or any(ord(character) > 0xFF for character in self.id):
            return b""
        return "|".join(_ways(self.id[:BEGINNING], _or_in_latin)).encode()

    def masks_in(self, text: str) -> list[tuple[int, int]]:
        """Where a text was masked: an id such as `erased` is not looked for in that, or masking would never end.

        Only one that has MASK in it is, and gets shorter each time.
        """
        if MASK in self.id and self.id != MASK:
            return []
        return [found.span() for found in MASKS.finditer(text)]

    def mask_text(self, text: str, pattern: re.Pattern[str]) -> str:
        """Returns the text with MASK where the pattern, `word` or `joined`, finds the id. The same again changes nothing."""
        for _ in range(ROUNDS):
            made = self._masked_once(text, pattern)
            if made == text:
                return text
            text = made
        return MASK

    def _masked_once(self, text: str, pattern: re.Pattern[str]) -> str:
        masks = Spans(self.masks_in(text))
        return pattern.sub(lambda found: found[0] if masks.meet(*found.span()) else MASK, text)

    def is_named_in(self, text: str) -> bool:
        """Whether a text, or the beginning of one, has the id as a whole name outside of what was masked."""
        cut = next((size for size in range(len(MASK) - 1, 0, -1) if text.endswith(MASK[:size])), 0)
        text = text[: len(text) - cut]
        if not self.fits_into(text):
            return False
        return self._masked_once(text, self.word) != text

    def is_word_in(self, content: bytes) -> bool:
        """Whether bytes have the id as a whole name outside of what was masked."""
        if not re.search(self.beginning, content):
            return False
        parts = [content] if MASK in self.id and self.id != MASK else content.split(MASK.encode())
        return any(re.search(self.word_in_bytes, part) for part in parts)

    def is_member_in(self, content: bytes) -> bool:
        """Whether bytes have the id as the value of a deviceId of a JSON text."""
        return bool(re.search(self.beginning, content) and re.search(self.member_in_bytes, content))

    def is_value_in(self, content: bytes) -> bool:
        """Whether bytes of any format have what may stand for the id as a value, or the id as the value of a deviceId."""
        return any(value in content for value in self.values_in_bytes) or self.is_member_in(content)

    @cached_property
    def word_in_bytes(self) -> bytes:
        name = NAME.encode()
        return b"(?:^|[^" + name + b"])" + self.anywhere + b"(?:$|[^" + name + b"])"

    @cached_property
    def values_in_bytes(self) -> tuple[bytes, ...]:
        """What may stand for the id as a value in bytes of a binary format.

        Plain Parquet puts four bytes of length before a value, Avro and Thrift, if it is short, one: of no use for a short id.
        """
        plain = self.id.encode()
        made = [len(plain).to_bytes(4, "little") + plain]
        if self.is_sought_in_texts:
            made += [bytes([size]) + plain for size in (len(plain), 2 * len(plain)) if size < 128]
            made += [self.id.encode(codec) for codec in WIDE_CODECS]
        return tuple(made)

    @cached_property
    def member_in_bytes(self) -> bytes:
        return rb"""(?i:device_?id)[\\"']*\s*[:=]\s*[\\"']*""" + self.anywhere + b"(?:$|[^" + NAME.encode() + b"])"


def _ways(text: str, of_codec: Callable[[str, str], str]) -> Iterator[str]:
    """Yields the expression of a text for each way to escape it, see `DeviceName.spelled`.

    of_codec: the expression of a character, from the character and that of its escaping.
    """
    ways: list[Callable[[str], str]] = [_spelled]
    if "\\" in text:
        ways.insert(0, re.escape)
    if '"' in text:
        ways.append(_doubled)
    if not ENTITIES.keys().isdisjoint(text):
        ways.append(_as_entity)
    return ("".join(of_codec(character, way(character)) for character in text) for way in ways)


def _spelled(character: str) -> str:
    units = character.encode("utf-16-be")
    escape = "".join(r"\\u" + "".join(map(_digit, units[at : at + 2].hex())) for at in range(0, len(units), 2))
    plain = [] if character == "\\" else [re.escape(character)]
    ways = [*plain, escape, *([SHORT[character]] if character in SHORT else [])]
    return f"(?:{'|'.join(ways)})"


def _or_in_latin(character: str, way: str) -> str:
    return way if character.isascii() else f"(?:\\x{ord(character):02x}|{way})"


def _doubled(character: str) -> str:
    return '""' if character == '"' else re.escape(character)


def _as_entity(character: str) -> str:
    """A character of a text in HTML, where an ampersand is always escaped, and a quote may be."""
    if character not in ENTITIES:
        return re.escape(character)
    number = ord(character)
    plain = [] if character == "&" else [re.escape(character)]
    return f"(?:{'|'.join([*plain, f'&{ENTITIES[character]};', f'&#0*{number};', f'&#[xX]0*{number:x};'])})"


def _digit(digit: str) -> str:
    return f"[{digit}{digit.upper()}]" if digit.isalpha() else digit


class Way(NamedTuple):
    """How bytes may be read as a text: in a codec, after bytes of a character that lost its beginning."""

    codec: str
    skipped: int = 0


WIDE = (*(Way(codec) for codec in WIDE_CODECS), Way("utf-32-le", 2), Way("utf-32-be", 2))  # UTF-16 without a byte is the other one


@dataclass(frozen=True, slots=True)
class NameReading:
    """A payload read as a text. before, after: bytes at its ends that are no whole character."""

    text: str
    codec: str
    before: bytes = b""
    after: bytes = b""

    def written(self, text: str) -> bytes:
        """Returns the payload with another text in the place of its own, in the same codec."""
        return self.before + text.encode(self.codec, _kept_as(self.codec)) + self.after


def ways_to_read(payload: bytes, device: DeviceName) -> list[Way]:
    """Returns the ways a payload may be meant: UTF-8; UTF-16 and UTF-32, if there are zero bytes; Latin-1, if it is not UTF-8 and
    the id is not the same in both.
    """
    ways = [Way("utf-8"), *(WIDE if b"\0" in payload else ())]
    return [*ways, Way("latin-1")] if device.beginning_in_latin_bytes and not _is_utf8(payload) else ways


def read(payload: bytes, way: Way) -> NameReading:
    """Reads a payload. What is not of the codec is kept as lone surrogates where that is possible, so that it is written again."""
    unit = 4 if way.codec.startswith("utf-32") else 2 if way.codec.startswith("utf-16") else 1
    before, body = payload[: way.skipped], payload[way.skipped :]
    whole = len(body) - len(body) % unit
    try:
        text = body[:whole].decode(way.codec, _kept_as(way.codec))
    except UnicodeDecodeError:
        text = body[:whole].decode(way.codec, "replace")
    return NameReading(text, way.codec, before, body[whole:])


def readings_of(payload: bytes, device: DeviceName) -> Iterator[NameReading]:
    """Yields the texts that a payload may be."""
    return (read(payload, way) for way in ways_to_read(payload, device))


def _kept_as(codec: str) -> str:
    return {"utf-8": "surrogateescape", "latin-1": "replace"}.get(codec, "surrogatepass")


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
