"""One file a group of `peacewatch` commands; each imports its layer only when it is called."""
