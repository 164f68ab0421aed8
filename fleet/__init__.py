"""What a report, an alert, an incident and a statistic are.

Pure: nothing here opens a socket or a file, reads a clock or the environment.
Every layer imports this package; it imports no layer. `tests/unit/test_architecture.py` holds it to that.
"""
