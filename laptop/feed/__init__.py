"""Producers of reports: replay of a CSV file, and the simulator at a rate."""
