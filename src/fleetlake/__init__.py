"""A telematics lakehouse: vehicle events from Kafka, exactly once, into Apache Iceberg, and on to trips and scores."""

__version__ = "0.1.0"
