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

_SPACES: Final = r"[\s\x00-\x1f\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]*"
_FORMULA: Final = re.compile(rf"(^|[,;|\t\r\n]){_SPACES}[\"']?{_SPACES}(?=[=+\-@\t\r＝＋－＠﹢﹣﹦﹫−])")
"""Where a spreadsheet would begin a formula (OWASP, CSV injection): at the start of a cell, and after what another
locale takes for the end of one, also behind invisible characters. The text comes from drones."""

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
    return _FORMULA.sub(lambda match: f"{match[0]}'", text)


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
