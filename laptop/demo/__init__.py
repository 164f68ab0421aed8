"""The demo: starts everything, then streams a simulated fleet or runs one round."""
