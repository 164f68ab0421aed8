"""Reports to the lake, exactly once."""
