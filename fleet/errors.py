"""Every error that Peacewatch raises on purpose.

PeacewatchError            one sentence a person can act on; the command line ends with exit code 2
├── BadInput               input is wrong: field, reason
│   └── RejectedReport     a drone's message that goes to `reports.rejected`: reason, detail
├── BadSettings            a setting is wrong or missing
├── MissingPart            Java, a jar, a binary or a library is not there: what to install
├── DocumentRefused        MongoDB never accepts this document (too large, not BSON); a retry does not help
└── ServiceUnavailable     Kafka, MongoDB, Discord or the lake does not answer; a retry may help
    ├── Unreadable         a file of the lake cannot be read: it is damaged or gone, unless the store is away
    └── NewerLayout        what is stored has a layout that this version does not know: upgrade it
"""

from __future__ import annotations


class PeacewatchError(Exception):
    """An error whose text is one sentence for a person."""


class BadInput(PeacewatchError):
    """Input that is wrong. `field` names the place, `reason` says what is wrong with it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class RejectedReport(BadInput):
    """A message that is not a report. `reason` is one of `fleet.reports.report.REASONS`, `detail` is for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class BadSettings(PeacewatchError):
    """A setting is wrong or missing; the text names it, never its value when it is a secret."""


class MissingPart(PeacewatchError):
    """Something that must be installed is not; the text says how."""


class DocumentRefused(PeacewatchError):
    """MongoDB refuses a document for its content. The effect is contained, and the document never sent again
    unchanged."""


class ServiceUnavailable(PeacewatchError):
    """A service does not answer now. `retry_after` is seconds, or None if it is unknown."""

    def __init__(self, text: str, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class Unreadable(ServiceUnavailable):
    """A file of the lake cannot be read; `path` is below its table's root, "" if it is unknown. If the store
    answers, the file is damaged or gone, and what does not need it continues.
    """

    def __init__(self, text: str, path: str = "") -> None:
        super().__init__(text)
        self.path = path


class NewerLayout(ServiceUnavailable):
    """What is stored was written by a newer version; the text says which part, and what to do."""
