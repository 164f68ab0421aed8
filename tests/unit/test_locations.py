"""Where files lie: what is no place is refused, and what lies in another place is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra import locations


@pytest.mark.parametrize("location", ["/backups", "backups", "./a:b", "s3://b", "s3://b/backups/"])
def test_a_folder_or_a_bucket_is_a_place(location: str) -> None:
    locations.require(location)


@pytest.mark.parametrize("location", ["", "~/backups", "s3:/b", "s3:b", "s3://", "S3://b", "gs://b", "file:///b"])
def test_location_that_would_be_an_oddly_named_folder_is_refused(location: str) -> None:
    with pytest.raises(ValueError, match=r"^is a folder, without ~, or s3://bucket/path$"):
        locations.require(location)


@pytest.mark.parametrize(
    ("location", "other", "is_within"),
    [
        ("/lake", "/lake", True),
        ("/lake/", "/lake", True),
        ("/lake/reports/x", "/lake", True),
        ("/lake/../lake/x", "/lake", True),
        ("/lake/../backups", "/lake", False),
        ("/lakes", "/lake", False),
        ("/", "/lake", False),
        ("s3://b/lake", "s3://b/lake/", True),
        ("s3://b/lake//x", "s3://b/lake", True),
        ("s3://b/lakes", "s3://b/lake", False),
        ("s3://b", "s3://b/lake", False),
        ("s3://c/lake/x", "s3://b/lake", False),
        ("/lake", "s3://b/lake", False),
        ("s3://b/lake", "/", False),
    ],
)
def test_whether_a_place_lies_in_another(location: str, other: str, is_within: bool) -> None:
    assert locations.is_within(location, other) is is_within


def test_a_link_into_a_folder_lies_in_it(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "lake")
    assert locations.is_within(str(tmp_path / "link" / "backups"), str(tmp_path / "lake"))
