"""Runs that turn the lake's rows into MongoDB views."""
