"""The one room that opens connections and knows what is stored: Kafka, MongoDB, the lake, settings and secrets."""
