"""Parquet to MongoDB, in Spark: what must be exact."""
