"""A telematics lakehouse: vehicle events from Kafka, exactly once, into Apache Iceberg, and from there into trips and scores."""

__version__ = "0.1.0"
