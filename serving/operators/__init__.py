"""What operators do, and the audit of it."""
