"""The `peacewatch` command and the wiring of each process."""
