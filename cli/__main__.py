"""`python -m cli`, and the file that spark-submit is given: the `peacewatch` command."""

from __future__ import annotations

import sys
from pathlib import Path

# Run as a file, Python puts this folder first on the path, and `import kafka` would find laptop/services/kafka.py.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).parent]

if __name__ == "__main__":
    from cli.main import main

    main()
