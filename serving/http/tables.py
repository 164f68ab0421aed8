"""Answers that are tables also as CSV, for a spreadsheet: `Accept: text/csv` or `format=csv`."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import quote

from flask import Response, jsonify, request
from pydantic import ConfigDict

from serving.http.json import default, dumps

Format = Literal["json", "csv"]
MIME: Final = "text/csv"

TABLE: Final = ConfigDict(openapi_extra={"content": {MIME: {"schema": {"type": "string"}}}})  # type: ignore[typeddict-unknown-key]
"""The configuration of an answer's model that is also available as CSV."""

_UNSEEN: Final = (
    r"\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff"
)
"""Controls and what Unicode lets a reader pass by (Default_Ignorable_Code_Point), which are not spaces."""

_FORMULA: Final = re.compile(rf"(^|[,;|\t\r\n])((?:[{_UNSEEN}\"']|(?![\t\r\n])\s)*+)(?=[=+\-@＝＋－＠﹢﹣﹦﹫−⁺⁻⁼₊₋₌])")
"""Where a spreadsheet would begin a formula (OWASP, CSV injection): at the start of a cell, and after what another
locale takes for the end of one, also behind quotes and invisible characters. The text comes from drones, a megabyte of
it, so no character is looked at twice: the quantifier gives nothing back (`*+`)."""

BYTE_ORDER_MARK: Final = "\ufeff"
"""Without it spreadsheets read UTF-8 as a code page of the last century."""


def table(answer: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], wanted: Format | None) -> Response:
    """`answer` as JSON, or its `rows` as CSV with the answer's version in the headers.

    `next` may be a drone's id, that is any text: in a header it is percent-encoded.
    """
    response = _csv(answer, rows) if _wants_csv(wanted) else jsonify(answer)
    response.vary.add("Accept")  # else a browser may answer one form from its cache for the other
    return response


def _csv(answer: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Response:
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    if rows:
        file.write(BYTE_ORDER_MARK)
        writer.writerow(rows[0].keys())
    writer.writerows([_cell(value) for value in row.values()] for row in rows)
    response = Response(file.getvalue(), mimetype=MIME)
    for name in ("version", "as_of", "next"):
        if answer.get(name) is not None:
            value = answer[name]
            shown = str(value) if isinstance(value, str | int) else default(value)
            response.headers[f"X-Peacewatch-{name.title().replace('_', '-')}"] = quote(shown, safe=":")
    response.headers["Content-Disposition"] = f'attachment; filename="{_file_name()}"'
    return response


def neutral(text: str) -> str:
    """`text` with a `'` where a spreadsheet would begin a formula."""
    found = _FORMULA.sub(r"\1\2'", text)
    return f"'{text}" if found == text and text.startswith(("\t", "\r")) else found


def _file_name() -> str:
    """Made from the endpoint only: an id in the address may be any text."""
    return f"peacewatch-{(request.endpoint or 'table').rpartition('.')[2].replace('_', '-')}.csv"


def _wants_csv(wanted: Format | None) -> bool:
    if wanted:
        return wanted == "csv"
    return request.accept_mimetypes.best_match(["application/json", MIME], "application/json") == MIME


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return neutral(value)
    if isinstance(value, list | dict):
        return neutral(dumps(value))
    return value if value is None or isinstance(value, bool | int | float) else default(value)
