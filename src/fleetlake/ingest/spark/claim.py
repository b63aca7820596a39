"""Whose a bronze table is: the Spark engine claims it for its checkpoint before the first record."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from fleetlake.foundation.errors import BadInput, Retryable
from fleetlake.ingest.offsets import IngestEngine, IngestMarker, KafkaTopicState, check_identity, refuse_other_engine
from fleetlake.lake.catalog import Lake, row_count
from fleetlake.lake.commits import Conflict, UnknownOutcome, commit, commit_properties

ATTEMPTS = 10
DATA_PATH = "write.data.path"  # Iceberg's property for where its writers put data files


def claim(
    lake: Lake, name: str, source: KafkaTopicState, *, checkpoint: str, has_checkpoint: bool, wait: Callable[[int], None]
) -> None:
    """Makes the table the Spark engine's, filled from `source` under `checkpoint`. The commit fences a native writer.

    Each call also gives the table a new folder for data files. Iceberg names a file after partition, task, query and micro-batch; a
    new driver counts its tasks from zero again, so a micro-batch that it repeats could write over a file that is in the table.

    has_checkpoint: whether a query has run under it before. BadInput if another engine, or Spark under another checkpoint, has
    filled the table, or the checkpoint of a filled table is gone; DataLoss if the topic is not the one it was filled from.
    """
    for attempt in range(ATTEMPTS):
        table = lake.table(name)
        stored, rows = IngestMarker.of(table.properties), row_count(table)
        run_id = uuid.uuid4().hex
        folder = {DATA_PATH: f"{table.location()}/data/spark/{run_id}"}
        try:
            if is_claimed(stored, rows, source, table=name, checkpoint=checkpoint, has_checkpoint=has_checkpoint):
                commit_properties(table, folder)
                return
            epoch = stored.epoch + 1 if stored else 1
            ours = IngestMarker(checkpoint, epoch, run_id, source.cluster_id, source.topic_id, {}, {}, engine=IngestEngine.SPARK)
            commit(table, properties=ours.properties() | folder)
            return
        except (Conflict, UnknownOutcome):
            wait(attempt)
    raise Retryable(f"the table could not be claimed in {ATTEMPTS} attempts", where=name)


def is_claimed(
    stored: IngestMarker | None, rows: int, source: KafkaTopicState, *, table: str, checkpoint: str, has_checkpoint: bool
) -> bool:
    """Whether the query can go on under its checkpoint as it is; False if the table is free and has to be claimed first."""
    refuse_other_engine(stored, rows, ours=IngestEngine.SPARK, table=table)
    if stored is None or stored.engine is not IngestEngine.SPARK:
        if has_checkpoint:
            raise BadInput(
                "a query has run under this checkpoint before, but the table knows nothing of it (was it made anew?)",
                where=f"{table}, checkpoint {checkpoint}",
                hint="delete the checkpoint to read the topic from its beginning, or take the lake it belongs to",
            )
        return False
    if rows:
        check_identity(stored, source)
    if stored.job == checkpoint and (has_checkpoint or not rows):
        return (stored.cluster_id, stored.topic_id) == (source.cluster_id, source.topic_id)
    if not rows:
        return False
    gone = "is gone" if stored.job == checkpoint else f"is {stored.job}"
    raise BadInput(
        f"the table has {rows:,} rows, and the checkpoint that knows their offsets {gone}; another would read them again",
        where=f"{table}, checkpoint {checkpoint}",
        hint="restore the checkpoint or set spark.checkpoints to where it is, or ingest into a new lake: fleetlake --home DIR",
    )
