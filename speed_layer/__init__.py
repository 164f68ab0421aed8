"""Kafka to Discord, and Kafka to Parquet: what must happen within a moment."""
