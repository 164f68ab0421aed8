"""The REST API, the live pages and the nightly report, over MongoDB."""
