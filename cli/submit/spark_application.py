"""The `peacewatch` command as a file, for spark-submit: `spark-submit cli/submit/spark_application.py aggregate`.

It has its own folder, since Python searches a script's folder before all packages.
"""

from cli.main import main

if __name__ == "__main__":
    main()
