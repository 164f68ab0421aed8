"""One file per group of `peacewatch` commands. A command imports its layer only when it is called."""
