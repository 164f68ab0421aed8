"""The register of drones, as spreadsheets write it, and what is said of one that is wrong."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from batch_layer import drone_register
from fleet.errors import BadInput, BadSettings

DAY = date(2026, 11, 24)


def expected(folder: Path, content: str | bytes, day: date = DAY) -> list[str]:
    path = folder / "drones.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return sorted(drone_register.load(path).expected(day).to_pylist())


@pytest.mark.parametrize(
    "content",
    [
        "drone_id,from,until\na,2026-11-24,2026-11-24\nb,,\n",
        "drone_id,from,until\r\na,2026-11-24,2026-11-24\r\nb,,\r\n,,\r\n,,\r\n",
        "\ufeffdrone_id;from;until\na;2026-11-24;\nb;;\n",
        "Drone_ID, from , until\n a , 2026-11-24 ,\n\nb\n",
        "name,until,from,drone_id\nx,,2026-11-24,a\ny,,,b\n",
        "drone_id,from,until\na,0001-01-01,9999-12-31\nb,,\na,,\n",
        'drone_id,from,until\n"a","2026-11-24",""\n"b",,\nc,2026-11-25,\nd,,2026-11-23\n',
    ],
)
def test_a_register_is_read_as_spreadsheets_write_it(tmp_path: Path, content: str) -> None:
    assert expected(tmp_path, content) == ["a", "b"]


def test_a_drone_may_have_any_name(tmp_path: Path) -> None:
    assert expected(tmp_path, 'drone_id,from,until\nNA,,\nnull,,\n"a,b",,\n日本,,\n') == ["NA", "a,b", "null", "日本"]


def test_a_register_may_be_empty(tmp_path: Path) -> None:
    assert expected(tmp_path, "drone_id,from,until\n") == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "its first line has no column drone_id"),
        (b"drone_id,from\na,\n", "its first line has no column until; it is drone_id,from,until"),
        (b",,\n,,\n", "its first line has no column drone_id"),
        (b"drone_id,from,until\n,2026-11-24,\n", "line 2 has no drone_id"),
        (b"drone_id,from,until\n\na,,\n,2026-11-24,\n", "line 4 has no drone_id"),
        (b"drone_id,from,until\na,2026-02-30,\n", "line 2: '2026-02-30' is not a date; write it as 2026-11-24"),
        (b"drone_id,from,until\na,,24.11.2026\n", "line 2: '24.11.2026' is not a date"),
        (b"drone_id,from,until\na,0000-01-01,\n", "line 2: '0000-01-01' is not a date"),
        (b"drone_id,from,until\na,10000-01-01,\n", "line 2: '10000-01-01' is not a date"),
        (b"drone_id,from,until\na,2026-W01-1,\n", "line 2: '2026-W01-1' is not a date"),
        (
            b"drone_id,from,until\na,2026-11-24,2026-11-23\n",
            "line 2 ends on 2026-11-23, before it begins on 2026",
        ),
        (b"drone_id,from,until\n\xe4,,\n", "it is not UTF-8; save it as CSV UTF-8"),
        (b'drone_id,from,until\n"a,,\n', "line 2 is not CSV"),
        (b"drone_id,from,until\n" + b"x" * 1_001 + b",,\n", "line 2 has a drone_id of more than 1,000 characters"),
        (b"drone_id,from,until\n" + b"x" * 1_100_000 + b",,\n", "line 2 is not CSV: field larger than"),
    ],
)
def test_a_wrong_register_is_one_sentence_that_names_the_line(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(BadInput) as error:
        expected(tmp_path, content)
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_a_register_that_is_not_there_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="PEACEWATCH_DRONE_REGISTER: No such file"):
        drone_register.load(tmp_path / "none.csv")
