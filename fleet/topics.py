"""The topics' names. Their contracts are in docs/contracts.md."""

from __future__ import annotations

from typing import Final

REPORTS: Final = "reports"
REJECTED: Final = "reports.rejected"
ALERTS: Final = "alerts"
DELIVERIES: Final = "deliveries"
ALERT_STATE: Final = "alert-state"
OPERATOR_ACTIONS: Final = "operator-actions"
