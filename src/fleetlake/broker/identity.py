"""Is a topic still the one it was? One that is deleted and made again has its old name and other records."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from fleetlake.broker.absence import made_anew
from fleetlake.broker.topics import SILENT
from fleetlake.foundation.errors import Retryable

LOG = logging.getLogger(__name__)  # its warnings reach stderr, a line each
ANSWER_S = 5.0
FAILURES_TOLD = 2
LOOKS_AT_ABSENT = 20  # a broker that has just started does not know all of its topics yet


class TopicWatch:
    """Asks the broker for the ids of topics.

    ids: topic to the id it had when reading began. wait: back-off before look n.
    """

    def __init__(
        self, client_config: Mapping[str, str | int | float | bool], ids: Mapping[str, str], *, wait: Callable[[int], None]
    ) -> None:
        self._client_config, self._ids, self._wait = dict(client_config), ids, wait
        self._connect()

    def _connect(self) -> None:
        self._admin = AdminClient(self._client_config, logger=SILENT)

    def require_same(self, *, stopped: Callable[[], bool]) -> None:
        """Returns once the broker says that every topic is the one it was; all that was read before was theirs then.

        An id never comes back, so looking after reading is enough. DataLoss if a topic is another one or is gone. Waits while no
        broker answers, and says so; Retryable if `stopped` says so meanwhile.
        """
        absent = looks = failed = 0
        while True:
            try:
                found = self._look()
            except KafkaException as error:
                if stopped():
                    raise Retryable(
                        f"Kafka does not answer: {error.args[0].str()}; what was read last is not committed",
                        hint="nothing is lost: run the ingest again",
                    ) from error
                failed += 1
                if failed == FAILURES_TOLD:
                    LOG.warning("Kafka does not say whether its topics are still the same (%s): nothing is committed", error)
                self._connect()  # this one may ask a broker that is gone, and would do so for minutes
            else:
                for topic, id_ in found.items():
                    if id_ not in (None, self._ids[topic]):
                        raise made_anew(topic, f"it is {id_}, the table was filled from {self._ids[topic]}")
                if None not in found.values():
                    if failed >= FAILURES_TOLD:
                        LOG.warning("Kafka says that its topics are the same: commits go on")
                    return
                absent += 1
                if absent == LOOKS_AT_ABSENT:
                    raise made_anew(next(topic for topic, id_ in found.items() if id_ is None), "it is not there any more")
            looks += 1
            self._wait(min(looks, LOOKS_AT_ABSENT // 4))

    def _look(self) -> dict[str, str | None]:
        """Topic to its id; None for one the broker does not know."""
        futures = self._admin.describe_topics(TopicCollection(list(self._ids)), request_timeout=ANSWER_S)
        found: dict[str, str | None] = {}
        for topic, future in futures.items():
            try:
                found[topic] = str(future.result(2 * ANSWER_S).topic_id)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
                found[topic] = None
            except TimeoutError as error:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer")) from error
        return found
