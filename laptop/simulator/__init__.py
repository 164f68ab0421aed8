"""A believable fleet, seeded."""
