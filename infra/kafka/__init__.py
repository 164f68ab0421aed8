"""Kafka: clients, topics and consumer groups."""
