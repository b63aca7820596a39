"""fleetlake up: start the embedded broker."""

from __future__ import annotations


def up() -> None:
    """Starts the embedded Kafka under the home folder and makes the five topics. It keeps running until `fleetlake down`.

    With kafka.bootstrap_servers configured it only makes the topics that are absent there.

    Example: fleetlake up
    """
    from fleetlake.broker.topics import ensure_topics
    from fleetlake.config.wiring import embedded_broker, kafka_address, load_settings
    from fleetlake.contracts.events import EVENTS

    settings = load_settings()
    kafka, broker = kafka_address(settings), embedded_broker(settings)
    started = broker.start() if broker else False
    ensure_topics(kafka, [event.topic for event in EVENTS])
    if broker:
        print(f"Kafka {'is up' if started else 'was running already'} on {kafka.bootstrap_servers}, data in {broker.folder}")
    else:
        print(f"topics are there on {kafka.bootstrap_servers}; it is not ours to start")
