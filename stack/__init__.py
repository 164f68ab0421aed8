"""The laptop stack and the `peacewatch` command: real services as child processes."""
