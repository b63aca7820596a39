"""The steps of the delivery protocol, at which a test may cut in: kill the process, stop it, delay it, make it fail.

Nothing but a constructor's argument leads here: no setting, no environment variable. Each is passed once a batch or a commit.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Step(StrEnum):
    """What has just been done, in the order of a run."""

    TABLE_LOADED = "table_loaded"  # to take it over
    TAKEN_OVER = "taken_over"
    BATCH_READ = "batch_read"
    DECODED = "decoded"  # all of a commit's rows
    FILES_WRITTEN = "files_written"
    STAGED = "staged"  # manifests and their list are in the storage, the catalog knows nothing of them
    SWAPPED = "swapped"  # the catalog has answered, nobody has used the answer
    RELOADED = "reloaded"  # after a commit that was refused or not confirmed
    COMMITTED = "committed"
    GROUP_TOLD = "group_told"  # the consumer group's offsets, for lag monitors


At = Callable[[Step], None]


def nowhere(step: Step) -> None:
    """Cuts in at no step: what everybody but a test wants."""
