"""What Spark's exceptions mean: whether records are gone, or it may go on."""

from __future__ import annotations

import pytest

from fleetlake.foundation.errors import DataLoss, FleetlakeError, Retryable
from fleetlake.ingest.spark.engine import told

ABSENT = """[STREAM_FAILED] Query [id = 1, runId = 2] terminated with exception: java.util.concurrent.ExecutionException
Caused by: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: This server does not host this topic-partition.
"""
MISSED = "[KAFKA_DATA_LOSS.START_OFFSET_RESET] Some data may have been lost because they are not available in Kafka any more"

CORRUPT = """[STREAM_FAILED] Job aborted due to stage failure: Task 0 in stage 1.0 failed 1 times
Caused by: org.apache.kafka.common.KafkaException: Received exception when fetching the next record from gps-data-1-3. If needed, seek.
Caused by: org.apache.kafka.common.errors.CorruptRecordException: Record batch for partition gps-data-1-3 at offset 50 is invalid, cause: Record is corrupt (stored crc = 1, computed crc = 2)
"""  # noqa: E501


@pytest.mark.parametrize(
    ("text", "is_last", "kind", "said"),
    [
        (CORRUPT, False, DataLoss, "corrupt on the broker's disk: Record batch for partition gps-data-1-3 at offset 50 is invalid"),
        (CORRUPT, False, DataLoss, "topic gps_data, partition 3, offset 50"),
        (ABSENT, False, Retryable, "UnknownTopicOrPartitionException"),  # a broker that starts says so of topics it has
        (ABSENT, True, DataLoss, "the topic is not there any more"),
        (MISSED, False, DataLoss, "the records to go on with are not in the topic any more"),
        ("Py4JError: something\nCaused by: java.io.IOException: No space left", True, Retryable, "No space left"),
        (
            "java.lang.IllegalArgumentException: [BUG] Expected sorted snapshot log entries.",
            False,
            Retryable,
            "over a minute",
        ),
        ("Caused by: x: Invalid update timestamp 1: before last snapshot log entry at 2", True, Retryable, "set the clocks"),
        ("", False, Retryable, "did not say why"),
    ],
)
def test_an_exception_of_spark_is_one_line_of_ours(text: str, is_last: bool, kind: type[FleetlakeError], said: str) -> None:
    error = told("gps_data", text, is_last=is_last)
    assert type(error) is kind
    assert said in str(error)
    assert "topic gps_data" in str(error)
    assert "\n" not in str(error)
