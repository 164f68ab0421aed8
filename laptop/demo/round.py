"""One round on a running stack: send reports, land them, raise alerts, compute the views, notify, query the API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import httpx

from fleet.errors import ServiceUnavailable
from laptop.airflow.api import AirflowApi
from laptop.demo.source import DemoSource
from laptop.demo.steps import Steps
from laptop.demo.summary import STATISTICS, Summary
from laptop.demo.watch import StackAddresses, Watch
from laptop.feed.producer import Feed

DAG: Final = "hourly_views"

LAND_SECONDS: Final = 180.0
DELIVER_SECONDS: Final = 600.0
"""The stand-in accepts 30 messages a minute, each of up to ten embeds; an embed may hold a single alert."""

DAG_SECONDS: Final = 900.0
"""It took 407 s on two cores under a load of 40."""

ANSWER_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Round:
    """A round, and the stack that it runs on."""

    addresses: StackAddresses
    web: str
    airflow: AirflowApi

    def run(self, source: DemoSource, steps: Steps) -> Summary:
        """Returns the summary. Raises ServiceUnavailable, which names the failed step and its log."""
        watch = Watch(self.addresses)
        try:
            return self._run(source, steps, watch)
        finally:
            watch.close()

    def _run(self, source: DemoSource, steps: Steps, watch: Watch) -> Summary:
        summary = Summary(seconds=steps.seconds)
        with steps.step("send", "Sending reports", "kafka.log"):
            summary.sent = self._send(source, steps)
        with steps.step("land", "Landing in the lake", "land.log"):
            steps.until(lambda: self._none_left(steps, watch.unlanded(), "reports to land"), LAND_SECONDS)
            summary.landed, summary.rejected = watch.landed(), watch.rejected()
        with steps.step("alert", "Judging reports", "alerting.log"):
            steps.until(lambda: self._none_left(steps, watch.unjudged(), "reports to judge"), LAND_SECONDS)
            summary.raised = watch.raised()
        with steps.step("airflow", f"Airflow runs {DAG}", "airflow-scheduler.log"):
            self._run_dag(steps)
        with steps.step("deliver", "Notifying Discord", "notify.log"):
            self._deliver(summary, steps, watch)
        with steps.step("answers", "Querying the REST API", "serve.log"):
            summary.statistics = self._ask(source, steps, watch)
        return summary

    def _send(self, source: DemoSource, steps: Steps) -> int:
        with Feed(self.addresses.bootstrap) as feed:
            for number, (key, value) in enumerate(source.messages()):
                feed.send(key, value)
                if number % 500 == 0:
                    steps.say(f"{feed.acknowledged:,} of {source.total:,} acknowledged")
        return feed.acknowledged

    def _run_dag(self, steps: Steps) -> None:
        """Any run that began after landing will do: once unpaused, the DAG also gets a scheduled run."""
        steps.say("waiting for the DAG processor to find it")
        steps.until(lambda: self.airflow.knows(DAG), DAG_SECONDS)
        since = datetime.now(UTC)
        run = self.airflow.trigger(DAG)

        def ended() -> bool:
            state = self.airflow.state(DAG, run)
            steps.say(f"{run} is {state}")
            if state == "failed":
                raise ServiceUnavailable(f"the run {run} failed")
            return state == "success" or self.airflow.succeeded(DAG, since)

        steps.until(ended, DAG_SECONDS)

    def _deliver(self, summary: Summary, steps: Steps, watch: Watch) -> None:
        raised = sum(summary.raised.values())

        def notified() -> bool:
            channel = watch.channel()
            if channel is None:
                return True  # a real Discord: its messages cannot be counted here
            summary.delivered, summary.messages = channel.delivered, channel.messages
            return self._none_left(steps, raised - channel.total, f"of {raised:,} alerts to notify")

        steps.until(notified, DELIVER_SECONDS)

    def _ask(self, source: DemoSource, steps: Steps, watch: Watch) -> dict[str, Any]:
        days = {"from": source.first.isoformat(), "to": source.last.isoformat()} if source.total else {}
        version = watch.lake_version()
        with httpx.Client(base_url=f"{self.web}/api/v1/statistics/", params=days, timeout=30) as client:

            def fresh() -> bool:
                answer = client.get("averages")
                if answer.is_client_error:  # waiting does not help
                    raise ServiceUnavailable(f"it answers {answer.status_code}: {answer.text[:300]}")
                return answer.is_success and int(answer.json()["version"]) >= version

            steps.until(fresh, ANSWER_SECONDS)
            return {name: client.get(name).raise_for_status().json() for name in STATISTICS}

    def _none_left(self, steps: Steps, left: int, what: str) -> bool:
        steps.say(f"{left:,} {what}")
        return left <= 0
