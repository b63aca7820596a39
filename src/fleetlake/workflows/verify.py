"""Compares all topics with the lake, and prints the books. Shared by `fleetlake verify` and `fleetlake demo`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from fleetlake.broker.records_at import FoundRecord, find_records
from fleetlake.contracts.events import Event
from fleetlake.contracts.tables import ERASED, bronze_of, silver_of
from fleetlake.foundation.errors import Unproven
from fleetlake.ingest.landed import FindRecords, find_replaced
from fleetlake.ingest.offsets import IngestMarker, KafkaTopicState, Offsets
from fleetlake.ingest.presence import LookUp, OnProgress, RecordsRemoved, find_present
from fleetlake.ingest.verify import CheckState, TopicCheck, check_topic
from fleetlake.ingest.verify_bronze import RESTORE_LOG
from fleetlake.lake.scan import Damaged
from fleetlake.transform.marker import read_marker
from fleetlake.workflows.ingest import sources_now

if TYPE_CHECKING:
    from pyiceberg.table import Table as IcebergTable

    from fleetlake.config.settings import Settings
    from fleetlake.lake.catalog import Lake

SAY_EVERY_S = 5.0
LOOKS = 3


def check_lake(settings: Settings) -> list[TopicCheck]:
    """The books of the five topics, in the contracts' order."""
    from fleetlake.config.wiring import kafka_settings, open_existing_lake

    lake, kafka = open_existing_lake(settings), kafka_settings(settings)
    sources = sources_now(kafka)
    broker = _Broker(
        partial(sources_now, kafka),
        partial(find_present, kafka.client_config(), on_progress=_progress()),
        partial(find_records, kafka.client_config()),
    )
    transformed = any(_silver(lake, event)[1] is not None for event in sources)
    return [_look(lake, event, source, broker, transformed=transformed) for event, source in sources.items()]


@dataclass(frozen=True, slots=True)
class _Broker:
    """What the broker is asked: how the topics are now, where they have records, and single records."""

    sources: Callable[[], Mapping[Event, KafkaTopicState]]
    look_up: LookUp
    find: FindRecords


def _look(lake: Lake, event: Event, source: KafkaTopicState, broker: _Broker, *, transformed: bool) -> TopicCheck:
    """Checks a topic; again, up to LOOKS times in all, where something is wrong and a table has changed since it began.

    Beside an erasure, whose rows go from bronze before they go from silver, or an expiry, which takes files that are about to be
    read, what looks wrong may be two states of the lake; beside an ingest, records that were on their way. What is wrong stays so.
    transformed: whether there was a transform, so that what it has not read, it has not read yet.
    """
    for left in reversed(range(LOOKS)):
        before = _versions(lake, event)
        try:
            check = _look_once(lake, event, source, broker, transformed=transformed)
        except RecordsRemoved:
            if not left:
                raise
            source = broker.sources()[event]
            continue
        except (Damaged, FileNotFoundError):
            if not left or _versions(lake, event) == before:
                raise
            continue
        if check.state is not CheckState.NOT_EQUAL or not left or _versions(lake, event) == before:
            break
    return check


def _look_once(lake: Lake, event: Event, source: KafkaTopicState, broker: _Broker, *, transformed: bool) -> TopicCheck:
    silver, read = _silver(lake, event)
    check = check_topic(
        lake, event, source, read if read or not transformed else {}, broker.look_up,
        silver=silver, ask_again=lambda: broker.sources()[event],
    )  # fmt: skip
    return _with_log_compared(lake, event, source, check, broker.find)


def _versions(lake: Lake, event: Event) -> list[str]:
    """What changes with every commit to a table that is looked at."""
    names = (bronze_of(event).name, silver_of(event).name, ERASED.name)
    return [lake.table(name).metadata_location for name in names if lake.has(name)]


def _with_log_compared(lake: Lake, event: Event, source: KafkaTopicState, check: TopicCheck, find: FindRecords) -> TopicCheck:
    """The check, with a problem for each partition whose log holds other records than those that landed last."""
    name = bronze_of(event).name
    marker = IngestMarker.of(lake.table(name).properties) if lake.has(name) else None
    if marker is None or (marker.cluster_id, marker.topic_id) != (source.cluster_id, source.topic_id):
        return check  # another topic's offsets say nothing, which the check says already

    def find_shown(topic: str, offsets: Offsets) -> Mapping[int, FoundRecord]:
        return find(topic, {partition: offset for partition, offset in offsets.items() if partition in source.watermarks})

    replaced = {row.partition: row.offset for row in find_replaced(lake, event, source.topic, find_shown)}
    if not replaced:
        return check
    problems = tuple(
        f"partition {partition}: the topic's log went back and grew again; another record is at offset {offset} now"
        for partition, offset in sorted(replaced.items())
    )
    hints = (*check.hints, RESTORE_LOG)
    return replace(check, problems=(*check.problems, *problems), state=CheckState.NOT_EQUAL, hints=hints)


def _progress() -> OnProgress:
    """Says on stderr, if that is a terminal, how far Kafka has been asked, where that takes longer."""
    said_at = time.monotonic()

    def say(topic: str, done: int, of: int) -> None:
        nonlocal said_at
        if sys.stderr.isatty() and time.monotonic() - said_at > SAY_EVERY_S:
            said_at = time.monotonic()
            print(f"{topic}: asked Kafka about {done:,} of {of:,} offsets that bronze lacks", file=sys.stderr)

    return say


def require_equal(checks: Sequence[TopicCheck]) -> None:
    """Unproven if the tables are not what they should be, with what to do about it."""
    failed = [check for check in checks if check.state is not CheckState.OK]
    if not failed:
        return
    behind = all(check.state is CheckState.BEHIND for check in failed)
    raise Unproven(
        "silver is behind bronze" if behind else "the lake and Kafka do not hold the same",
        where=", ".join(check.topic for check in failed),
        hint=", then ".join(dict.fromkeys(hint for check in failed for hint in check.hints)),
    )


def _silver(lake: Lake, event: Event) -> tuple[IcebergTable | None, Offsets | None]:
    """The event's silver table as it is now, and how far it has read the bronze table then; None if it never has."""
    name = silver_of(event).name
    table = lake.table(name) if lake.has(name) else None
    marker = read_marker(table) if table else None
    return table, marker.sources[bronze_of(event).name].offsets if marker else None


def print_checks(checks: Sequence[TopicCheck], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(check) for check in checks]))
        return
    any_erased, any_empty = any(check.erased for check in checks), any(check.no_record for check in checks)
    erased, empty = f"{'erased':>9}" if any_erased else "", f"{'no record':>11}" if any_empty else ""
    print(f"{'topic':<16}{'Kafka':>11}{empty}{'bronze':>11}{erased}{'rejected':>10}{'duplicates':>12}{'silver':>11}{'late':>9}")
    for check in checks:
        silver = "-" if check.silver is None else f"{check.silver:,}"
        late = "-" if check.late is None else f"{check.late:,}"
        erased = f"{check.erased:>9,}" if any_erased else ""
        empty = f"{check.no_record:>11,}" if any_empty else ""
        counts = (
            f"{check.kafka:>11,}{empty}{check.landed:>11,}{erased}{check.rejected:>10,}{check.duplicates:>12,}{silver:>11}{late:>9}"
        )
        print(f"{check.topic:<16}{counts}  {check.state}")
    for check in checks:
        if check.accepted:
            print(f"{check.topic}: {check.accepted:,} offsets are lost: retention deleted them unread, which --accept-gaps noted")
        for line in (*check.problems, *check.notes):
            print(f"{check.topic}: {line}")
    if all(check.state is CheckState.OK for check in checks):
        built = all(check.silver is not None or not check.landed for check in checks)
        silver = "silver has every good event id once." if built else "silver not built yet: fleetlake transform"
        but = ", or was erased" if any_erased else ""
        far = ", as far as it can be checked" if any(check.notes for check in checks) else ""
        print(f"Every record of Kafka is in bronze once, at its offset{but}{far}; {silver}")
