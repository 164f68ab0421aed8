"""`peacewatch doctor`: looks at every outside service, and says what is wrong and how to mend it."""
