"""The wiring of each process, in one function."""
