"""Statistics as data: cubes that are folded and merged exactly, and the answers read from them. Pure."""
