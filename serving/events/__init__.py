"""The event stream: what changes, as it changes."""
