"""Whether a day is complete, and what its data are worth."""
