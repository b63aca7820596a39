"""When to end a commit: a decision over values, for the reader's loop to ask after each batch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FlushPolicy:
    """A commit ends at whichever comes first.

    rows, bytes: what is buffered, undecoded. age_s: since the first record buffered, once the reader has caught up with the topic.
    behind_age_s: the same while it is behind, when larger files matter more than freshness nobody gets.
    """

    rows: int = 250_000
    bytes: int = 256 * 1024 * 1024
    age_s: float = 0.3
    behind_age_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Buffered:
    """What the reader holds. behind: its last batch was full, so the topic has more. busy: the commit before is still under way."""

    rows: int
    bytes: int
    age_s: float
    behind: bool
    busy: bool


def should_flush(buffered: Buffered, policy: FlushPolicy) -> bool:
    if not buffered.rows:
        return False
    if buffered.rows >= policy.rows or buffered.bytes >= policy.bytes:
        return True
    if buffered.behind or buffered.busy:
        return buffered.age_s >= policy.behind_age_s
    return buffered.age_s >= policy.age_s
