"""Answers made smaller on the way."""

from __future__ import annotations

from typing import Final

from flask import Flask
from flask_compress import Compress

COMPRESSED: Final = ["application/json", "application/problem+json", "application/geo+json", "text/csv", "text/html"]
COMPRESSED_STATIC: Final = ["text/css", "text/javascript", "image/svg+xml"]
SMALLEST: Final = 1000
"""Bytes; what fits one packet anyway is not worth the time."""


def register(app: Flask) -> None:
    """Compresses what `app` answers. Event streams are not compressed: each event must go at once."""
    app.config["COMPRESS_MIMETYPES"] = [*COMPRESSED, *COMPRESSED_STATIC]
    app.config["COMPRESS_ALGORITHM"] = ["zstd", "br", "gzip"]
    app.config["COMPRESS_MIN_SIZE"] = SMALLEST
    app.config["COMPRESS_BR_LEVEL"] = 4
    app.config["COMPRESS_STREAMS"] = False
    Compress(app)
