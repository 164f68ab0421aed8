"""A stand-in for Discord's webhooks, as strict as Discord, for the local stack and for tests.

It shares no code with the sender, so that a mistake of one is not the other's too. What it does as Discord documents,
and what only by what others have observed, is written next to each figure (`limits.py`, `ratelimit.py`).
"""
