"""Parquet to MongoDB, with Spark: exact figures."""
