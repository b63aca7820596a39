"""fleetlake down: stop the embedded broker."""

from __future__ import annotations


def down() -> None:
    """Stops the embedded Kafka of the home folder. Its data stays for the next `fleetlake up`.

    Example: fleetlake down
    """
    from fleetlake.config.wiring import embedded_broker, load_settings
    from fleetlake.foundation.errors import BadInput

    settings = load_settings()
    broker = embedded_broker(settings)
    if broker is None:
        raise BadInput("this Kafka is not the embedded one, so it is not ours to stop", where=str(settings.kafka.bootstrap_servers))
    print("Kafka is down; its data stays" if broker.stop() else "Kafka was not running")
