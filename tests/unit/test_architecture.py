"""The rules that the code agreed on (docs/design.md, where code lives), held by reading the source."""

from __future__ import annotations

import ast
import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = ("speed_layer", "batch_layer", "serving")
ROOMS = ("fleet", "infra", *LAYERS, "laptop", "cli", "dags")
MAY_IMPORT = {
    "fleet": {"fleet"},
    "infra": {"fleet", "infra"},
    **{layer: {"fleet", "infra", layer} for layer in LAYERS},
    "laptop": {"fleet", "infra", *LAYERS, "laptop"},
    "cli": {"fleet", "infra", *LAYERS, "laptop", "cli"},
    "dags": {"dags"},  # a schedule and calls: entry points are started as processes, or imported in a task
}
IMPURE_MODULES = {
    *("asyncio", "concurrent", "io", "logging", "multiprocessing", "os", "pathlib", "selectors", "shutil", "signal"),
    *("socket", "ssl", "subprocess", "sys", "tempfile", "threading", "time", "urllib.request"),
    *("deltalake", "flask", "httpx", "kafka", "psutil", "pymongo", "pyspark", "requests", "rich", "structlog", "typer"),
}
IMPURE_CALLS = {"open", "print", "input", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}


def sources(*rooms: str) -> list[Path]:
    return sorted(path for room in rooms for path in (ROOT / room).rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(tree: ast.AST, *, at_parse_time: bool = False) -> Iterator[tuple[int, str]]:
    """(line, module) of each import; `at_parse_time` leaves out those inside a function."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")
        elif not (at_parse_time and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            yield from imports(node, at_parse_time=at_parse_time)


def wrong_imports(room: str, source: str) -> list[str]:
    wrong = []
    for line, module in imports(ast.parse(source), at_parse_time=room == "dags"):
        top = module.split(".")[0]
        if module.startswith("."):
            wrong.append(f"line {line}: relative import; name the module from the root")
        elif top in ROOMS and top not in MAY_IMPORT[room]:
            wrong.append(f"line {line}: {room} imports {module}")
    return wrong


def impurities(source: str) -> list[str]:
    tree = ast.parse(source)
    modules = [f"line {line}: import {module}" for line, module in imports(tree) if _impure(module)]
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    named = [(call.lineno, ast.unparse(call.func)) for call in calls]
    return modules + [f"line {line}: {name}()" for line, name in named if name in IMPURE_CALLS]


def _impure(module: str) -> bool:
    return module in IMPURE_MODULES or module.split(".", maxsplit=1)[0] in IMPURE_MODULES


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_one_way(room: str) -> None:
    wrong = {name_of(path): wrong_imports(room, path.read_text()) for path in sources(room)}
    assert {path: lines for path, lines in wrong.items() if lines} == {}, (
        "infra imports fleet; layers import fleet and infra, never each other; only cli and tests import laptop"
    )


@pytest.mark.parametrize("path", sources("fleet"), ids=name_of)
def test_fleet_is_pure(path: Path) -> None:
    assert impurities(path.read_text()) == [], "fleet has no socket, file, clock or environment: pass values in"


@pytest.mark.parametrize("path", sources(*ROOMS), ids=name_of)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    source = path.read_text()
    assert not source.strip() or ast.get_docstring(ast.parse(source)), f"{name_of(path)} has no docstring"


def committed() -> list[Path]:
    """The text files of the commit."""
    result = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    paths = [ROOT / name for name in result.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


NEVER_COMMITTED = {
    "a package index": r"(?:--(?:extra-)?index-url|INDEX_URL|DEFAULT_INDEX)[ =\"']+https?://\w",
    "a path of somebody's machine": r"(?<![\w.-])/(work|root|home/\w+|Users/\w+)/\w",
    "a real webhook": r"discord(app)?\.com/api/(v\d+/)?webhooks/\d{17,}/[\w-]{20,}",
    "a password in a URI": r"\b(mongodb(\+srv)?|kafka|https?)://[^\s:/@{}<>*]+:(?!\*|pass|secret|hunter2)[^\s@/{}<>*]+@",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
}


REGISTRIES = {
    *("a4aa2ac280bb8d1a", "8b5bb5eb9d758455", "43c04ed1dabe979b", "b18b7bf677c9e874", "317d2d52829b7812"),
    *("8743857e3ea00fd1", "3ca29e55be4befa4", "00a7dc5a0cc38858", "ba20768a02ee5327", "f5cfcb570b7edac2"),
    "751e78d2922d4e32",  # a made-up one, for the test below
}
"""Hosts of package registries, and products that mirror them: hashes, so that no file names one, not even this."""

_HOST = re.compile(r"(?:[a-z0-9-]+\.)+[a-z]{2,}|[a-z]{5,11}", re.I)


@cache
def is_registry(name: str) -> bool:
    """Whether a host or a domain above it is one of REGISTRIES; of a single word, the word."""
    labels = name.lower().split(".")
    names = [".".join(labels[first:]) for first in range(max(1, len(labels) - 1))]
    return any(hashlib.sha256(each.encode()).hexdigest()[:16] in REGISTRIES for each in names)


def found_in(text: str) -> list[str]:
    lines = list(enumerate(text.splitlines(), 1))
    found = [
        f"line {number}: {what}"
        for what, pattern in NEVER_COMMITTED.items()
        for number, line in lines
        if re.search(pattern, line)
    ]
    registries = [number for number, line in lines if any(map(is_registry, _HOST.findall(line)))]
    return found + [f"line {number}: a package registry" for number in registries]


def test_no_secret_machine_or_registry_is_committed() -> None:
    found = {}
    for path in committed():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture or a font
        if len(text) < 2_000_000 and path.name != "requirements.lock":
            found[name_of(path)] = found_in(text)
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_pages_load_nothing_from_elsewhere() -> None:
    elsewhere = re.compile(
        r"""<(?:script|link|img|iframe)[^>]+(?:src|href)=["']?(?:https?:)?//|@import|url\(["']?(?:https?:)?//"""
    )
    pages = [path for path in (ROOT / "serving").rglob("*") if path.suffix in {".html", ".css", ".js", ".jinja"}]
    assert {name_of(path) for path in pages if elsewhere.search(path.read_text(encoding="utf-8"))} == set()


@pytest.mark.parametrize(
    ("room", "source", "complaints"),
    [
        ("fleet", "from fleet.reports.report import Report", 0),
        ("fleet", "from infra.kafka import clients", 1),
        ("infra", "from fleet import topics", 0),
        ("infra", "from serving import status", 1),
        ("serving", "from infra.mongo import runs", 0),
        ("batch_layer", "from laptop import ports", 1),
        ("fleet", "import speed_layer.landing.commit", 1),
        ("speed_layer", "def f():\n    from batch_layer import snapshot", 1),
        ("laptop", "from cli.main import app", 1),
        ("serving", "from .app import make", 1),
        ("dags", "from batch_layer import aggregate", 1),
        ("dags", "def task():\n    from batch_layer import aggregate", 0),
        ("cli", "from batch_layer.spark import aggregate\nimport fleet.figures.cube\nimport laptop.ports", 0),
    ],
)
def test_the_import_rule_sees(room: str, source: str, complaints: int) -> None:
    assert len(wrong_imports(room, source)) == complaints


@pytest.mark.parametrize(
    "source",
    ["import time", "from os import environ", "x = open('f')", "datetime.now(UTC)", "from urllib.request import x"],
)
def test_the_purity_rule_sees(source: str) -> None:
    assert impurities(source)


@pytest.mark.parametrize(
    "line",
    [
        "see https://files.registry{}.example/simple",
        "--index-url {}https://mirror.example/simple",
        "UV_DEFAULT_INDEX={}https://mirror.example/simple",
        "open('/{}work/shared/x')",
        "mongodb://me:{}geheim@db/peacewatch",
        "https://discord.com/api/webhooks/{}123456789012345678/abcdefghijklmnopqrstuvwxyz",
        "-----BEGIN {}PRIVATE KEY-----",
    ],
)
def test_the_rule_of_commits_sees(line: str) -> None:
    """The braces part each line, so that this file passes the rule, too."""
    assert found_in(line.replace("{}", ""))
    assert not found_in(line)


def sub_rooms(room: str) -> dict[str, set[str]]:
    """By sub-room (a folder of the room) the others that its modules import; a file of the room itself is none."""
    edges: dict[str, set[str]] = {}
    for path in sources(room):
        mine = path.relative_to(ROOT).parts[1:-1]
        if not mine:
            continue
        for _, module in imports(ast.parse(path.read_text())):
            top, *rest = module.split(".")
            if top == room and rest and rest[0] != mine[0] and (ROOT / room / rest[0]).is_dir():
                edges.setdefault(mine[0], set()).add(rest[0])
    return edges


def circle(edges: dict[str, set[str]]) -> list[str]:
    """Names that import each other in a ring; none where there is an order."""
    left = {name: set(others) for name, others in edges.items()}
    while free := [name for name in left if not left[name] & left.keys()]:
        for name in free:
            del left[name]
    return sorted(left)


@pytest.mark.parametrize("room", ROOMS)
def test_sub_rooms_import_in_one_order(room: str) -> None:
    assert circle(sub_rooms(room)) == []


def test_no_module_imports_itself_through_others() -> None:
    edges: dict[str, set[str]] = {}
    for path in sources(*ROOMS):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        edges[name] = set()
        for node in outside_functions(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in ROOMS:
                named = {f"{node.module}.{alias.name}" for alias in node.names}
                edges[name] |= {each if is_module(each) else node.module for each in named}
    assert circle({name: others - {name} for name, others in edges.items()}) == []


def outside_functions(tree: ast.AST) -> Iterator[ast.AST]:
    """What runs when a module is imported; names that only types need are none of it."""
    for node in ast.iter_child_nodes(tree):
        for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if not (for_types or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            yield node
            yield from outside_functions(node)


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


@pytest.mark.parametrize(
    ("room", "order"),
    [
        ("batch_layer", ["lake", "views", "completeness", "retention"]),
        ("fleet", ["reports", "alerts", "notifications"]),
        ("fleet", ["reports", "figures"]),
    ],
)
def test_the_order_of_sub_rooms(room: str, order: list[str]) -> None:
    imported = sub_rooms(room)
    for at, name in enumerate(order):
        assert not imported.get(name, set()) & set(order[at + 1 :]), f"{name} imports what comes after it"


def test_figures_know_reports_alone() -> None:
    assert sub_rooms("fleet")["figures"] == {"reports"}


def test_the_rule_of_circles_sees() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "d": {"a"}}) == []
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"e"}}) == ["a", "b", "c"]


def test_no_module_is_importable_under_two_names() -> None:
    """A folder of the repository on the path would give `tests.support.lakes` a second name, `support.lakes`."""
    folders = {Path(entry).resolve() for entry in sys.path}
    assert [folder for folder in folders if ROOT in folder.parents and not folder.is_relative_to(sys.prefix)] == []
