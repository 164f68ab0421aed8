"""When a report raises an alert, what an alert says, and how the alert pipeline itself is. Pure."""
