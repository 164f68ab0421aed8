"""`peacewatch trace`: what became of one report, from what is stored."""
