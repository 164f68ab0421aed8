"""What the docs list is what the code has: settings, commands, topics, fields, reasons, links."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cli import docs_pages
from fleet import topics
from fleet.alerts.alert import Alert
from fleet.notifications.delivery import Delivery
from fleet.reports.report import REASONS, Citizen, Report
from infra.kafka.topics import TOPICS
from infra.settings import PREFIX, Settings
from speed_layer.landing.decoding import RejectedMessage
from speed_layer.landing.rejected import headers_of

ROOT = Path(__file__).parents[2]
COMMANDS = dict(docs_pages.commands())
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PROSE = [page for page in PAGES if page.name != "CHANGELOG.md"]
ROOMS = ("fleet", "infra", "speed_layer", "batch_layer", "serving", "cli", "laptop")
DECISIONS = ROOT / "docs" / "decisions"
TEST_FILES = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
CONTRACTS = (ROOT / "docs" / "contracts.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", list(docs_pages.PAGES))
def test_page_made_from_the_code_is_current(name: str) -> None:
    page = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert page == docs_pages.PAGES[name](), f"docs/{name} is out of date: run `script/docs pages`"


def test_no_documented_setting_is_gone() -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for page in PAGES:
        mentioned = set(re.findall(rf"{PREFIX}[A-Z0-9_]*[A-Z0-9]", page.read_text(encoding="utf-8")))
        gone = {name for name in mentioned if name.removesuffix("_FILE") not in known}
        assert gone <= {f"{PREFIX}ORIGINAL_DATA"}, f"{page.name} names settings that infra/settings.py has not"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    assert (COMMANDS[name].help or "").strip(), f"{name} has no help: give its function a docstring"
    for parameter in COMMANDS[name].params:
        assert parameter.help, f"{name} does not say what {parameter.name} is"


def test_no_documented_command_is_gone() -> None:
    for page in PAGES:
        named = re.findall(r"`(peacewatch [a-z][a-z-]*)", page.read_text(encoding="utf-8"))
        groups = {" ".join(name.split()[:2]) for name in COMMANDS}
        assert set(named) <= groups, f"{page.name} names commands that there are not"


def section(topic: str) -> str:
    found = re.search(rf"^## `{re.escape(topic)}`$(.*?)(?=^## |\Z)", CONTRACTS, re.MULTILINE | re.DOTALL)
    assert found, f"add a section ## `{topic}` to docs/contracts.md"
    return found[1]


@pytest.mark.parametrize("topic", list(TOPICS))
def test_every_topic_has_its_contract(topic: str) -> None:
    text = section(topic)
    for row in ("key", "headers", "order", "partitions", "retention"):
        assert f"| {row} |" in text, f"the contract of {topic} has no row {row}"
    assert f"| partitions | {TOPICS[topic].partitions}" in text


@pytest.mark.parametrize(
    ("topic", "struct"), [(topics.REPORTS, Report), (topics.ALERTS, Alert), (topics.DELIVERIES, Delivery)]
)
def test_every_field_is_in_its_contract(topic: str, struct: Any) -> None:
    text = section(topic)
    missing = [name for name in struct.__struct_fields__ if f"`{name}`" not in text]
    assert missing == [], f"add rows for these fields to the contract of {topic}"


def test_the_examples_are_what_they_say() -> None:
    def example(topic: str) -> str:
        found = re.search(r"```json\n(.*?)```", section(topic), re.DOTALL)
        assert found
        return found[1]

    report = msgspec.json.decode(example(topics.REPORTS), type=Report)
    alert = msgspec.json.decode(example(topics.ALERTS), type=Alert)
    assert report.citizens == [Citizen("Zoë Nuñez", 3)]
    assert (alert.report_id, alert.message, alert.reported_at) == (report.report_id, report.message, report.reported_at)


def test_every_header_of_a_reject_is_in_the_contract() -> None:
    reject = RejectedMessage("empty", "no value", 0, 0, 0, None, None)
    missing = [name for name, _ in headers_of(reject, "reports", "id") if f"`{name}`" not in section(topics.REJECTED)]
    assert missing == [], "add rows for these headers to the contract of reports.rejected"


def test_every_reason_is_in_the_contract() -> None:
    assert {reason for reason in REASONS if f"| `{reason}` |" not in section(topics.REJECTED)} == set()


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name}: there is no {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link} has no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_docs_name_are_there(page: Path) -> None:
    rooms = r"script|docs|tests|fleet|infra|speed_layer|batch_layer|serving|cli|laptop|bench|dags|deploy|\.ci"
    pattern = rf"`((?:{rooms})/[\w./-]*\w\.\w+)`"
    gone = [name for name in re.findall(pattern, page.read_text(encoding="utf-8")) if not (ROOT / name).exists()]
    assert gone == [], f"{page.name} names files that there are not"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_names_of_code_that_docs_quote_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    names = set(re.findall(r"`((?:fleet|infra|speed_layer|batch_layer|serving|cli|laptop)(?:\.\w+)+)`", text))
    assert {name for name in names if not resolves(name)} == set(), f"{page.name} quotes names that are not there"
    tests = set(re.findall(r"`(test_\w+\.py)`", text))
    assert tests <= TEST_FILES, f"{page.name} names tests that are not there"


def resolves(name: str) -> bool:
    """Whether the dotted `name` is a module, or an attribute of one."""
    module, _, attribute = name.rpartition(".")
    if importlib.util.find_spec(module) is None:
        return False
    return hasattr(importlib.import_module(module), attribute) or importlib.util.find_spec(name) is not None


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """(number, text) of every line that is neither a heading, a table, code, a picture nor a comment."""
    code = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        code ^= line.startswith("```")
        if not code and not line.startswith(("```", "|", "#", "![", "<")):
            yield number, line


@pytest.mark.parametrize("page", PROSE, ids=lambda page: str(page.relative_to(ROOT)))
def test_prose_has_one_sentence_a_line(page: Path) -> None:
    lines = list(prose(page))
    assert [number for number, line in lines if len(line) > 119] == [], f"{page.name}: lines over 119 characters"
    ends = r"[.!?][)*]* +[A-Z`(\[*]"
    several = [number for number, line in lines if re.search(ends, re.sub(r"^\s*(\d+\.|-) +", "", line))]
    assert several == [], f"{page.name}: lines with more than one sentence"


@pytest.mark.parametrize("page", sorted(DECISIONS.glob("0*.md")), ids=lambda page: page.stem)
def test_decision_has_its_parts(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {int(page.stem[:4])}. "), "the title begins with the number of the file"
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Rejected", "Consequences"]


def test_decisions_have_numbers_of_their_own() -> None:
    numbers = [path.stem[:4] for path in DECISIONS.glob("0*.md")]
    assert len(numbers) == len(set(numbers))


def test_glossary_is_in_order() -> None:
    words = re.findall(r"^\| ([^|]+) \|", (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"), re.MULTILINE)[1:]
    assert words == sorted(words, key=str.lower)


def test_every_page_is_in_the_site_and_on_its_first_page() -> None:
    listed = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    start = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert f'"{page.name}"' in listed, f"add {page.name} to the navigation in zensical.toml"
        assert page.name == "index.md" or f"({page.name})" in start, f"add {page.name} to docs/index.md"


def test_every_metric_is_documented() -> None:
    metrics = {
        name
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        for name in re.findall(r"(?:Counter|Gauge|Histogram|Info)\(\s*\"(peacewatch_\w+)\"", path.read_text("utf-8"))
    }
    documented = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md"))
    assert len(metrics) > 10
    missing = {name for name in metrics if not re.search(rf"`{name}(?:_total)?`", documented)}  # a counter has _total
    assert missing == set(), "add these metrics to a page"
