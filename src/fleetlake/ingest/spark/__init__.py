"""The Spark engine: Structured Streaming from Kafka into bronze, or into the raw landing of Parquet files."""
