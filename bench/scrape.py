"""What a real Prometheus saw of a real run, drawn by the queries of the shipped dashboard.

    script/bench scrape FILE.png [--seconds 300] [--rate 2000]

All processes run next to Kafka, MongoDB and the stand-in, Prometheus scrapes their operations ports each second by
deploy/prometheus/prometheus.yaml, and an hourly run comes in the middle. Grafana draws the same queries.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
from matplotlib.figure import Figure

from bench import mission
from bench.machine import machine
from bench.mission import running_stack
from laptop import ports
from tests.support import prometheus
from tests.support.product import Product

DASHBOARD: Final = prometheus.ROOT / "deploy/grafana/peacewatch.json"
COLUMNS: Final = 4
WINDOW: Final = "30s"
"""In place of the dashboard's five minutes, since the run is as short."""

STEP_SECONDS: Final = 2
LINES: Final = 6
"""Lines of a panel that its legend names."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--rate", type=int, default=2000)
    options = parser.parse_args()
    print(machine())
    operations = {command: ports.free_port() for command in (*mission.COMMANDS, "serve")}
    own = {command: {"PEACEWATCH_OPERATIONS_PORT": str(port)} for command, port in operations.items()}
    with running_stack(own=own) as stack:
        product = stack.product
        product.start_standin()
        for command in mission.COMMANDS:
            product.start(command)
        product.start_page()
        with prometheus.scraping(stack.home, operations.values()) as address:
            began = time.time()
            _run(product, stack.broker.address, options.rate, options.seconds)
            names = {f"127.0.0.1:{port}": command for command, port in operations.items()}
            _draw(options.file, address, (began, time.time()), names)


def _run(product: Product, bootstrap: str, rate: int, seconds: float) -> None:
    line = [sys.executable, "-m", "bench.feed", bootstrap, str(rate), str(seconds)]
    ends = time.monotonic() + seconds
    with subprocess.Popen(line, stdout=subprocess.DEVNULL) as feed:
        time.sleep(seconds / 2)
        product.run("aggregate", "--views", "hours", seconds=3600)
        while time.monotonic() < ends:
            httpx.get(f"{product.page}/api/v1/statistics/averages", timeout=30)
            time.sleep(0.2)
        assert feed.wait() == 0


def _draw(file: Path, address: str, span: tuple[float, float], names: dict[str, str]) -> None:
    """All panels of lines, in the dashboard's order. `names`: the process of each address."""
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    panels = [panel for panel in dashboard["panels"] if panel["type"] == "timeseries"]
    rows = -(-len(panels) // COLUMNS)
    figure = Figure(figsize=(4.2 * COLUMNS, 2.5 * rows), layout="constrained")
    for axes, panel in zip(figure.subplots(rows, COLUMNS).flat, panels, strict=False):
        for target in panel["targets"]:
            words = re.sub(r"\[\d+[mh]\]", f"[{WINDOW}]", target["expr"])
            for series in _series(address, words, span):
                at = [datetime.fromtimestamp(moment, UTC) for moment, _ in series["values"]]
                label = _label(target["legendFormat"], series["metric"], names)
                axes.plot(at, [float(value) for _, value in series["values"]], linewidth=1.2, label=label)
        unit = panel["fieldConfig"]["defaults"]["unit"]
        axes.set_title(f"{panel['title']}{'' if unit == 'short' else f', {unit}'}", fontsize=9, loc="left")
        axes.tick_params(labelsize=7)
        axes.set_ylim(bottom=0)
        axes.set_xlim(*(datetime.fromtimestamp(moment, UTC) for moment in span))
        axes.set_xticks([])
        axes.spines[["top", "right"]].set_visible(False)
        handles, labels = axes.get_legend_handles_labels()
        if handles:
            axes.legend(handles[:LINES], labels[:LINES], fontsize=6, frameon=False, loc="upper left")
    for axes in figure.axes[len(panels) :]:
        axes.set_visible(False)
    figure.savefig(file, dpi=90)


def _label(legend: str, metric: dict[str, str], names: dict[str, str]) -> str:
    label = re.sub(r"{{(\w+)}}", lambda name: metric.get(name[1], ""), legend)
    return names.get(label, label)


def _series(address: str, words: str, span: tuple[float, float]) -> list[dict[str, Any]]:
    parameters = {"query": words, "start": str(span[0]), "end": str(span[1]), "step": str(STEP_SECONDS)}
    answer = httpx.get(f"{address}/api/v1/query_range", params=parameters, timeout=30).raise_for_status()
    found: list[dict[str, Any]] = answer.json()["data"]["result"]
    return found


if __name__ == "__main__":
    main()
