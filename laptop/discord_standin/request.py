"""A request as the stand-in sees it, and its form: JSON, form fields, or multipart with files."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from laptop.discord_standin import answers, limits
from laptop.discord_standin.answers import RequestRefused

JSON = "application/json"
FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
_FILES = re.compile(r"files\[(\d+)\]")


@dataclass(frozen=True)
class Upload:
    """A file of a multipart form; `number` is the n of `files[n]`, or its position among files with other names."""

    number: int
    filename: str
    content_type: str
    content: bytes


@dataclass(frozen=True)
class Request:
    """`headers` by lower-case name; `query` by name, the last value."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    client: str = "127.0.0.1"

    @cached_property
    def base_url(self) -> str:
        return f"http://{self.headers.get('host', '127.0.0.1')}"

    @cached_property
    def form(self) -> tuple[dict[str, Any], list[Upload]]:
        """(payload, files). Raises RequestRefused: 400 for another content type or bad JSON, 413 for a large body."""
        if len(self.body) > limits.REQUEST_BYTES:
            raise RequestRefused(answers.TOO_LARGE)
        kind, options = parse_options_header(self.headers.get("content-type", ""))
        if kind == JSON:
            return _payload(self.body), []
        if kind not in FORMS:
            expected = f'Expected "Content-Type" header to be one of {{{JSON!r}, {FORMS[0]!r}, {FORMS[1]!r}}}.'
            raise RequestRefused(
                answers.invalid_form({"_errors": [{"code": "CONTENT_TYPE_INVALID", "message": expected}]})
            )
        parser = FormDataParser(
            stream_factory=lambda *_, **__: io.BytesIO()
        )  # no temporary files: the body is in memory
        _, fields, files = parser.parse(io.BytesIO(self.body), kind, len(self.body), options)
        uploads = []
        for place, (name, file) in enumerate(files.items(multi=True)):
            match = _FILES.fullmatch(name)
            number = int(match[1]) if match else place
            uploads.append(Upload(number, file.filename or "unknown", file.mimetype, file.read()))
        payload = _payload(fields["payload_json"].encode()) if "payload_json" in fields else dict(fields.items())
        return payload, uploads


def _payload(body: bytes) -> dict[str, Any]:
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        raise RequestRefused(answers.INVALID_JSON) from None
    if not isinstance(payload, dict):
        text = "Only dictionaries may be used in a DictType"
        raise RequestRefused(answers.invalid_form({"_errors": [{"code": "DICT_TYPE_CONVERT", "message": text}]}))
    return payload
