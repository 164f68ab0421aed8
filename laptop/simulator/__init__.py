"""A believable fleet, reproducible from a seed."""
