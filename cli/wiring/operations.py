"""The operations port of a long-running process, by the settings."""

from __future__ import annotations

from structlog import get_logger

from fleet.errors import BadSettings
from infra import metrics, operations
from infra.settings import PREFIX, Settings

log = get_logger()


def serve(settings: Settings, process: str, old: str = "", probe: operations.Probe | None = None) -> None:
    """Serves the operations port, if one is set. `old`: this process's earlier setting for it."""
    port, host = settings.operations_port, settings.operations_host
    if port is None and old and getattr(settings, old) is not None:
        port, host = getattr(settings, old), settings.host
        log.warning(f"{PREFIX}{old.upper()} is {PREFIX}OPERATIONS_PORT now; the old name still works")
    if port is None:
        return
    metrics.name_build(process)
    try:
        operations.serve(port, host, probe=probe)
    except OSError as error:
        raise BadSettings(f"the operations port {host}:{port} cannot be opened: {error.strerror}") from None
