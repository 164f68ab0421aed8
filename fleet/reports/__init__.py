"""A drone's report: its form, what can be read of a broken one, and the rows that it becomes. Pure."""
