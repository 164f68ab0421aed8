"""Peacewatch on one machine: local services, their supervisor, the Discord stand-in, the demo, the simulated fleet."""
