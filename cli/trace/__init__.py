"""`peacewatch trace`: what became of one report, by what is stored."""
