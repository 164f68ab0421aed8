"""A drone's report: its form on the wire (JSON, UTF-8, one object a Kafka message, key = `drone_id`).

`docs/contracts.md` is the same for people. Fields of newer firmware are accepted and ignored.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from fleet.errors import RejectedReport
from fleet.reports import fields

UNKNOWN: Final = "unknown"
"""Country and city of a report without a known place."""

MAX_AHEAD: Final = timedelta(minutes=10)
"""A drone's clock that is further ahead of the broker's is broken
(docs/decisions/0001-the-brokers-clock-decides.md)."""

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""No report is older: an earlier time is a broken clock. Hours are counted from here."""

REASONS: Final = (
    "empty",
    "too large",
    "not utf-8",
    "not json",
    "not a report",
    "ahead of time",
    "too old",
    "conflict",
)
"""Why a message did not land; one of these is the header `reason` on `reports.rejected`."""

Id = Annotated[str, Meta(min_length=1, max_length=200)]
Place = Annotated[str, Meta(min_length=1, max_length=200)]


class Citizen(msgspec.Struct, frozen=True, gc=False):
    """Somebody a drone saw. `peace_score` from 1 (unrest) to 10 (peace)."""

    name: Annotated[str, Meta(max_length=1000)]
    peace_score: Annotated[int, Meta(ge=fields.PEACE_SCORE[0], le=fields.PEACE_SCORE[1])]


class Report(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One minute of one drone. Times are UTC; degrees WGS 84; battery percent 0 to 100."""

    report_id: Id
    drone_id: Id
    reported_at: Annotated[datetime, Meta(tz=True)]
    latitude: Annotated[float, Meta(ge=fields.LATITUDE[0], le=fields.LATITUDE[1])]
    longitude: Annotated[float, Meta(ge=fields.LONGITUDE[0], le=fields.LONGITUDE[1])]
    battery: Annotated[float, Meta(ge=fields.BATTERY[0], le=fields.BATTERY[1])]
    citizens: list[Citizen]
    message: str
    alert: bool
    country: Place | None = None
    city: Place | None = None


_decoder = msgspec.json.Decoder(Report)
_encoder = msgspec.json.Encoder()


def encode(report: Report) -> bytes:
    """The message of a report."""
    return _encoder.encode(report)


def decode(value: bytes | None, received_at: datetime) -> Report:
    """The report of a message that the broker received at `received_at`. Raises RejectedReport with one of REASONS, and
    nothing else, whatever the bytes.
    """
    report = parse(value)
    check_time(report.reported_at, received_at)
    return report


def parse(value: bytes | None) -> Report:
    """The report of a message, whatever its time. Raises RejectedReport as `decode` does."""
    if not value:
        raise RejectedReport("empty", "the message has no value")
    try:
        report = _decoder.decode(value)
    except msgspec.ValidationError as error:
        report = _with_whole_scores(value, error)
    except UnicodeDecodeError as error:
        raise RejectedReport("not utf-8", f"byte {error.start}: {error.reason}") from None
    except Exception as error:  # noqa: BLE001 - RecursionError and whatever else garbage makes a parser raise
        raise RejectedReport("not json", f"{type(error).__name__}: {error}"[:500]) from None
    return normal(report)


def normal(report: Report) -> Report:
    """`report` in the form that all layers use: time in UTC, battery rounded (fleet.reports.fields)."""
    battery = report.battery
    if report.reported_at.tzinfo is UTC and battery and int(battery * 1000 + 0.5) / 1000 == battery:
        return report
    return msgspec.structs.replace(
        report, reported_at=_in_utc(report.reported_at), battery=fields.rounded_battery(battery)
    )


def _in_utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError:
        return time  # of the year 1 or 9999: `check_time` refuses it


def _with_whole_scores(value: bytes, refused: msgspec.ValidationError) -> Report:
    """The report of a message whose peace scores are written as 3.0: some firmware has no whole numbers."""
    try:
        message: Any = msgspec.json.decode(value)
        for citizen in message["citizens"]:
            score = citizen["peace_score"]
            if isinstance(score, float) and score.is_integer():
                citizen["peace_score"] = int(score)
        return msgspec.convert(message, Report)
    except Exception:  # noqa: BLE001 - garbage of any shape: what the strict reader said is what is wrong
        raise RejectedReport("not a report", str(refused)) from None


def check_time(reported_at: datetime, received_at: datetime) -> None:
    """Raises RejectedReport when a drone's clock cannot be believed."""
    if reported_at > received_at + MAX_AHEAD:
        ahead = reported_at - received_at
        raise RejectedReport("ahead of time", f"reported_at is {ahead} ahead of the broker's time")
    if reported_at < EARLIEST:
        raise RejectedReport("too old", f"reported_at {reported_at.isoformat()} is before 1970")


def worst_score(report: Report) -> int:
    """The lowest peace score of the citizens seen; 0 when the drone saw nobody."""
    return min((citizen.peace_score for citizen in report.citizens), default=0)
