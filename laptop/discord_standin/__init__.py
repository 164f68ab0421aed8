"""A stand-in for Discord's webhooks, as strict as Discord, for the local stack and for tests.

It shares no code with the sender, so that a mistake in one is not repeated in the other. Each limit says whether
Discord documents it or others have observed it (`limits.py`, `ratelimit.py`).
"""
