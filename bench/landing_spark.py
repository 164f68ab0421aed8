"""Spark Structured Streaming's Kafka to Parquet, for bench/landing.py: parses, partitions by hour, checks nothing else.

python -m bench.landing_spark PACKAGE BOOTSTRAP FOLDER; prints seconds from the query's start to its end, and the rows;
and both without the first batch, which also loads and compiles.
"""

from __future__ import annotations

import json
import sys
import time

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from fleet import topics

SCHEMA = (
    "report_id string, drone_id string, reported_at timestamp, latitude double, longitude double, battery double, "
    "citizens array<struct<name: string, peace_score: int>>, message string, alert boolean, country string, city string"
)


def main(package: str, bootstrap: str, folder: str) -> None:
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.jars.packages", package)
        .config("spark.jars.ivy", f"{folder}/ivy")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.driver.memory", "1g")
        .config("spark.sql.parquet.compression.codec", "zstd")
        .getOrCreate()
    )
    source = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", bootstrap)
        .option("subscribe", topics.REPORTS)
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", 200_000)
        .load()
    )
    parsed = source.select(
        F.from_json(F.col("value").cast("string"), SCHEMA).alias("r"), "partition", "offset", "timestamp"
    ).select("r.*", "partition", "offset", "timestamp", F.date_format("r.reported_at", "yyyy-MM-dd-HH").alias("hour"))
    began = time.perf_counter()
    query = (
        parsed.writeStream.format("parquet")
        .partitionBy("hour")
        .option("path", f"{folder}/table")
        .option("checkpointLocation", f"{folder}/checkpoint")
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    ended = time.perf_counter()
    rows = spark.read.parquet(f"{folder}/table").count()
    warm = [batch for batch in query.recentProgress if batch.numInputRows][1:]
    figures = {
        "seconds": ended - began,
        "rows": rows,
        "counting": time.perf_counter() - ended,
        "warm_rows": sum(batch.numInputRows for batch in warm),
        "warm_seconds": sum(batch.durationMs["triggerExecution"] for batch in warm) / 1000,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
