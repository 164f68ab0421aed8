"""Compression of answers."""

from __future__ import annotations

from typing import Final

from flask import Flask
from flask_compress import Compress

COMPRESSED: Final = ["application/json", "application/problem+json", "application/geo+json", "text/csv", "text/html"]
COMPRESSED_STATIC: Final = ["text/css", "text/javascript", "image/svg+xml"]
SMALLEST: Final = 1000
"""Bytes; an answer that fits one packet is not worth compressing."""


def register(app: Flask) -> None:
    """Compresses the answers of `app`, without event streams: each event must go at once."""
    app.config["COMPRESS_MIMETYPES"] = [*COMPRESSED, *COMPRESSED_STATIC]
    app.config["COMPRESS_ALGORITHM"] = ["zstd", "br", "gzip"]
    app.config["COMPRESS_MIN_SIZE"] = SMALLEST
    app.config["COMPRESS_BR_LEVEL"] = 4
    app.config["COMPRESS_STREAMS"] = False
    Compress(app)
