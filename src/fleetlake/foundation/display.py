"""Text for terminals. What a record, a file name or a server says must not move the cursor or hide what stands there."""

from __future__ import annotations


def escape_controls(text: str, *, keep: str = "") -> str:
    r"""Return the text with each character that is not printable as Python writes it (\x1b, \u202e); those of `keep` stay.

    Not printable are control characters, also those of eight bits that some terminals obey (C1), direction marks, separators of
    lines and paragraphs, and lone surrogates.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in keep else char.encode("unicode_escape").decode() for char in text)
