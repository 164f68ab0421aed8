"""The local services: a real Kafka, a real MongoDB, and the list of all that runs."""
