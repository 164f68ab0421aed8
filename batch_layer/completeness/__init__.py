"""Whether a day is complete, and the quality of its data."""
