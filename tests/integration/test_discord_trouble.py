"""The notifier, as shipped, against a channel that fails in every way that Discord does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.support.alert_stack import UNLIMITED, AlertStack, alert_stack, report
from tests.support.slow import slow


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertStack]:
    home = tmp_path_factory.mktemp("trouble")
    url = home / "url"
    url.write_text("http://127.0.0.1:1/api/webhooks/1/none")
    environ = {"PEACEWATCH_DISCORD_WEBHOOK_URL_FILE": str(url), "PEACEWATCH_INCIDENT_UPDATE_SECONDS": "0.2"}
    with alert_stack(home, **environ) as stack:
        url.write_text(f"{stack.url}/api/webhooks/1/alerts")
        stack.limits(**UNLIMITED)
        stack.start("alerting")
        stack.start("notify")
        stack.alarm(1)
        stack.wait(lambda: stack.notified == 1)
        yield stack


@pytest.fixture
def stack(running: AlertStack) -> Iterator[AlertStack]:
    """After each test every alert so far is in exactly one delivery, and the counts in the channel add up."""
    yield running
    running.control.post("/control/reset")
    running.limits(**UNLIMITED)
    running.wait(lambda: len(set(running.delivered_ids())) == running.sent)
    assert len(running.delivered_ids()) == running.sent


@pytest.mark.parametrize(
    "mode", ["429", "500", *slow("502"), "html-200", "reset-before", *slow("503", "403-html"), "403-blocked"]
)
def test_temporary_errors_are_retried(stack: AlertStack, mode: str) -> None:
    before, notified = len(stack.log()), stack.notified
    stack.fail(mode, 2, seconds=0.3) if mode == "429" else stack.fail(mode, 2)
    stack.alarm(3)
    stack.wait(lambda: stack.notified == notified + 3)
    assert len(stack.log()) > before
    assert "the webhook is dead" not in (stack.home / "log" / "notify.log").read_text()


def test_a_deleted_message_is_posted_again(stack: AlertStack) -> None:
    stack.send([report(stack.sent, 1, city="Deleted")])
    stack.sent += 1
    stack.wait(lambda: any("Deleted" in str(m) for m in stack.messages()))
    old = next(m["id"] for m in stack.messages() if "Deleted" in str(m))
    stack.control.delete(f"/api/webhooks/1/alerts/messages/{old}").raise_for_status()
    stack.send([report(stack.sent, 1, city="Deleted")])
    stack.sent += 1
    stack.wait(lambda: any("Deleted" in str(m) and m["id"] != old for m in stack.messages()))
    stack.wait(lambda: len(set(stack.delivered_ids())) == stack.sent)


def test_a_refused_alert_holds_nobody_up(stack: AlertStack) -> None:
    stack.fail("400", -1, match="Forbidden Words")
    stack.send(
        [report(stack.sent, 1, city="Refused", message="Forbidden Words"), report(stack.sent + 1, 1, city="Fine")]
    )
    stack.sent += 2
    stack.wait(lambda: len(set(stack.delivered_ids())) == stack.sent)
    assert any("Fine" in str(message) for message in stack.messages())
    assert not any("Forbidden Words" in str(message) for message in stack.messages())
    assert "Discord refuses a message" in (stack.home / "log" / "notify.log").read_text()


def test_refused_alerts_that_come_alone_hold_nobody_up(stack: AlertStack) -> None:
    """Each is refused with its words, then without them; growing pauses kept the next drone's alert back."""
    stack.fail("400", -1, match="Refused alone")
    stack.fail("400", -1, match="Unrest · high")
    for number in range(5):
        stack.send([report(stack.sent, 1, drone_id=f"refused-{number}", city=f"Refused alone {number}")])
        stack.sent += 1
        stack.wait(lambda: stack.notified == stack.sent)
    before = len(stack.log())
    stack.send([report(stack.sent, 1, 1, drone_id="honest", city="Fine too")])
    stack.sent += 1
    stack.wait(lambda: any("Fine too" in str(message) for message in stack.messages()))
    assert next(entry["status"] for entry in stack.log()[before:]) == 200
    assert not any("Refused alone" in str(message) for message in stack.messages())


def test_a_digest_that_is_refused_in_every_form_holds_up_no_message(stack: AlertStack) -> None:
    stack.fail("400", -1, match="Only counted")
    stack.fail("400", -1, match="Unrest · high")
    stack.fail("400", -1, match="without a message of their own")
    stack.send([report(stack.sent, 1, drone_id="counted", city="Only counted")])
    stack.sent += 1
    stack.wait(lambda: sum("of their own" in str(entry.get("body")) for entry in stack.log()) >= 2)
    stack.send([report(stack.sent, 1, 1, drone_id="honest", city="Fine as well")])
    stack.sent += 1
    stack.wait(lambda: any("Fine as well" in str(message) for message in stack.messages()))


def test_hostile_text_shows_as_text(stack: AlertStack) -> None:
    hostile = "@everyone <@&1> **bold** https://evil.example [x](https://evil.example) \u202eabc"
    stack.send([report(stack.sent, 1, city="Calm", message=hostile, citizens=[{"name": hostile, "peace_score": 1}])])
    stack.sent += 1
    stack.wait(lambda: any("Calm" in str(message) for message in stack.messages()))
    message = next(message for message in stack.messages() if "Calm" in str(message))
    assert not message.get("mention_everyone")
    assert not message.get("mention_roles")
    shown = str(message["embeds"])
    assert "\\\\@everyone" in shown
    assert "(https://evil" not in shown
    assert "\u202e" not in shown


def test_a_dead_webhook_stops_sending_and_a_new_url_goes_on(stack: AlertStack) -> None:
    """The last test: a reset of the stand-in forgets the new webhook."""
    before = len(stack.log())
    stack.control.post("/control/webhook", json={"webhook": "1", "token": None}).raise_for_status()
    stack.alarm(5)
    log = stack.home / "log" / "notify.log"
    stack.wait(lambda: "the webhook is dead" in log.read_text())
    stack.control.post("/control/webhook", json={"webhook": "2", "token": "fresh"}).raise_for_status()
    asked = len(stack.log()) - before
    (stack.home / "url").write_text(f"{stack.url}/api/webhooks/2/fresh")
    stack.wait(lambda: len(set(stack.delivered_ids())) == stack.sent)
    assert asked < 5
    assert "fresh" not in log.read_text()
    assert "webhooks/1/alerts" not in log.read_text()
    assert Counter(entry.get("status") for entry in stack.log())[404] < 40
