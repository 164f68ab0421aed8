"""`python -m cli`: the `peacewatch` command."""

from cli.main import main

if __name__ == "__main__":
    main()
