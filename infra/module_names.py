"""Names of our own modules at run time: `laptop.airflow` here is `peacewatch.laptop.airflow` in an installed wheel."""

from __future__ import annotations

from typing import Final

_ABOVE: Final = __name__.removesuffix("infra.module_names")
"""Empty in the repository; `peacewatch.` in the wheel, which keeps every room below one package."""

COMMAND: Final = f"{_ABOVE}cli"
"""What `python -m` runs as the `peacewatch` command."""


def of(module: str) -> str:
    """The name that `python -m` knows `module` by, which is given as it stands in the repository."""
    return _ABOVE + module
