"""The demo: everything started, a fleet streamed or one round done."""
