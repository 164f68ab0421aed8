"""Child processes: started in order, restarted, and none left behind."""
