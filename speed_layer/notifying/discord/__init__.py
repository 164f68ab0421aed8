"""Discord's webhook: requests, answers and rate limits."""
