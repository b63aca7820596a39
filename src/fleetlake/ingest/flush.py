"""When to end a commit: a decision over values, for the reader's loop to ask after each batch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FlushPolicy:
    """A commit ends at whichever comes first.

    rows, bytes: what is buffered, undecoded. age_s: since the first record buffered, once the reader has caught up with the topic.
    behind_age_s: the same while it is behind, when larger files matter more than freshness nobody gets. offsets_age_s: for so long
    a topic's offsets may be ahead of its table where they brought no rows.
    """

    rows: int = 500_000
    bytes: int = 256 * 1024 * 1024
    age_s: float = 0.3
    behind_age_s: float = 5.0
    offsets_age_s: float = 60.0


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


@dataclass(slots=True)
class PassedOffsets:
    """Since when topics have been read past offsets that brought no rows: control records, aborted transactions, compacted records.

    Their tables have to learn of them now and then: once retention has deleted such offsets nobody can tell them from lost records.
    """

    policy: FlushPolicy
    _since: dict[str, float] = field(default_factory=dict)
    _with_rows: set[str] = field(default_factory=set)

    def note(self, topic: str, now_s: float) -> None:
        self._since.setdefault(topic, now_s)

    def note_rows(self, topic: str) -> None:
        """Rows of the topic are part of the next commit, which takes its offsets along."""
        self._with_rows.add(topic)

    def due(self, now_s: float) -> list[str]:
        """The topics whose offsets have to be committed now."""
        return [topic for topic, since_s in self._since.items() if now_s - since_s >= self.policy.offsets_age_s]

    def note_cut(self, committed: Iterable[str]) -> None:
        """A commit ended that has the rows noted so far, and the offsets of the topics given."""
        for topic in (*self._with_rows, *committed):
            self._since.pop(topic, None)
        self._with_rows.clear()
