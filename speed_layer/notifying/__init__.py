"""Alerts to Discord: one notifier, one message an incident."""
