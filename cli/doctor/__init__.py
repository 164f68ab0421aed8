"""`peacewatch doctor`: checks every outside service, and says what is wrong and how to fix it."""
