"""MongoDB to people: the REST API, the live page, the nightly report."""
