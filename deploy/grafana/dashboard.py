"""Grafana's dashboard of Peacewatch, as code: `python deploy/grafana/dashboard.py` writes peacewatch.json.

Import the file in Grafana and choose its Prometheus. `tests/unit/test_prometheus.py` parses every query.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).with_name("peacewatch.json")
WIDTH: Final = 24
"""Columns of Grafana's grid."""

HEIGHT: Final = 8
DISCORD: Final = "peacewatch_discord_request_seconds"
PROMETHEUS: Final = {"type": "prometheus", "uid": "${prometheus}"}


@dataclass(frozen=True)
class Panel:
    """`queries`: {legend: query}. `unit` as Grafana names it."""

    title: str
    queries: dict[str, str]
    unit: str = "short"
    kind: str = "timeseries"


def quantiles(metric: str, by: str = "") -> dict[str, str]:
    """The median and the 99th percentile of a histogram over five minutes, by the label `by`."""
    labels, legend = (f"{by}, le", f" {{{{{by}}}}}") if by else ("le", "")
    return {
        f"{name}{legend}": f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket[5m])))"
        for name, share in (("median", 0.5), ("99 %", 0.99))
    }


ROWS: Final[dict[str, list[Panel]]] = {
    "Overview": [
        Panel("Processes that answer", {"{{instance}}": 'up{job="peacewatch"}'}, kind="stat"),
        Panel("Problems of the alert pipeline", {"{{trouble}}": "peacewatch_alert_path_troubles > 0"}, kind="stat"),
        Panel("Oldest pending alert", {"{{webhook}}": "peacewatch_alerts_oldest_untold_seconds"}, "s", "stat"),
        Panel(
            "Versions", {"{{process}} {{version}}": "count by (process, version) (peacewatch_build_info)"}, kind="stat"
        ),
    ],
    "Reports to the lake": [
        Panel(
            "Reports a second",
            {
                "landed": "sum(rate(peacewatch_landing_reports_total[5m]))",
                "duplicates": "sum(rate(peacewatch_landing_copies_total[5m]))",
                "rejected: {{reason}}": "sum by (reason) (rate(peacewatch_landing_rejects_total[5m]))",
            },
            "reqps",
        ),
        Panel("From the broker to the lake", quantiles("peacewatch_landing_seconds"), "s"),
        Panel("Time of a commit", quantiles("peacewatch_landing_commit_seconds"), "s"),
        Panel(
            "Not landed",
            {
                "{{instance}}": "peacewatch_landing_unlanded",
                "near expiry": "sum(peacewatch_landing_expiring)",
                "lost in an hour": "sum(increase(peacewatch_landing_lost_total[1h]))",
            },
        ),
        Panel(
            "Versions of the lake",
            {"landed": "max(peacewatch_landing_version)", "computed": "max(peacewatch_batch_version)"},
        ),
    ],
    "Alerts to people": [
        Panel("Reports judged a second", {"judged": "sum(rate(peacewatch_alerting_reports_total[5m]))"}, "reqps"),
        Panel("Alerts a minute", {"{{kind}}": "60 * sum by (kind) (rate(peacewatch_alerting_alerts_total[5m]))"}),
        Panel("From a report to its alert", quantiles("peacewatch_alerting_seconds"), "s"),
        Panel("From a report to its message", quantiles("peacewatch_notification_seconds", "webhook"), "s"),
        Panel(
            "Queues",
            {
                "not judged": "sum(peacewatch_alerting_unjudged)",
                "pending: {{webhook}}": "peacewatch_notifications_pending",
                "not recorded": "sum(peacewatch_recording_unrecorded)",
                "lag of {{group}}": "peacewatch_consumer_lag",
            },
        ),
        Panel(
            "Discord's answers a minute",
            {"{{method}} {{outcome}}": f"60 * sum by (method, outcome) (rate({DISCORD}_count[5m]))"},
        ),
    ],
    "Page and API": [
        Panel(
            "Requests a second",
            {"{{part}} {{status}}": "sum by (part, status) (rate(peacewatch_http_request_seconds_count[5m]))"},
            "reqps",
        ),
        Panel("Time of a request", quantiles("peacewatch_http_request_seconds", "part"), "s"),
        Panel(
            "Open now",
            {
                "requests": "sum(peacewatch_http_requests_pending)",
                "of them for figures": "sum(peacewatch_http_figures_pending)",
                "streams": "sum(peacewatch_http_streams)",
            },
        ),
    ],
    "Processes": [
        Panel("Memory", {"{{instance}}": 'process_resident_memory_bytes{job="peacewatch"}'}, "bytes"),
        Panel("Processor", {"{{instance}}": 'rate(process_cpu_seconds_total{job="peacewatch"}[5m])'}, "percentunit"),
        Panel("Retries an hour", {"{{loop}}": "sum by (loop) (increase(peacewatch_retries_total[1h]))"}),
        Panel("Checkpoints of the rules' memory", quantiles("peacewatch_alerting_checkpoint_seconds"), "s"),
        Panel("Writes of the recorder", quantiles("peacewatch_recording_write_seconds"), "s"),
    ],
}


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS.items():
        panels.append({"type": "row", "title": title, "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1}, "panels": []})
        y += 1
        width = WIDTH // min(len(row), 4)
        for number, panel in enumerate(row):
            column, line = number % 4, number // 4
            place = {"x": column * width, "y": y + line * HEIGHT, "w": width, "h": HEIGHT}
            panels.append({**_panel(panel), "gridPos": place})
        y += HEIGHT * ((len(row) + 3) // 4)
    return {
        "title": "Peacewatch",
        "uid": "peacewatch",
        "tags": ["peacewatch"],
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [{"name": "prometheus", "type": "datasource", "query": "prometheus", "label": "Prometheus"}]
        },
        "panels": [{"id": number, **panel} for number, panel in enumerate(panels, start=1)],
    }


def _panel(panel: Panel) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + number), "datasource": PROMETHEUS, "expr": query, "legendFormat": legend}
        for number, (legend, query) in enumerate(panel.queries.items())
    ]
    return {
        "type": panel.kind,
        "title": panel.title,
        "datasource": PROMETHEUS,
        "targets": targets,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
    }


def main() -> None:
    FILE.write_text(json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
