"""What leaves the lake: sealed days, unused files, the log's old entries."""
