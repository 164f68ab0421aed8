"""When a report raises an alert, the alert's fields, and the health of the alert pipeline. Pure."""
