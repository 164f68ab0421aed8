"""An overloaded store: a proxy before a real one that answers 503 SlowDown to every request while a file exists.

python -m tests.support.slow_store ENDPOINT PORT SWITCH. SWITCH is the file; SWITCH.refused has a byte for each
refused request. It is a process of its own, since deltalake holds Python's lock while it waits for a list of files.
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

HOP_HEADERS = ("transfer-encoding", "connection", "content-length", "content-encoding")
SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?>'
    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)


class Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    endpoint = ""
    switch = Path()
    client = httpx.Client(timeout=60)

    def forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.switch.exists():
            with self.switch.with_suffix(".refused").open("ab") as refused:
                refused.write(b".")
            self.answer(503, {"content-type": "application/xml"}, SLOW_DOWN)
            return
        headers = dict(self.headers.items())  # the signature is over the host that the client named
        answer = self.client.request(self.command, self.endpoint + self.path, headers=headers, content=body)
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_HEADERS}
        self.answer(answer.status_code, kept, answer.content, answer.headers.get("content-length"))

    def answer(self, status: int, headers: dict[str, str], content: bytes, length: str | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", (length or "0") if self.command == "HEAD" else str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = forward

    def log_message(self, *_: Any) -> None:
        """Nothing: the log would have a line a request."""


if __name__ == "__main__":
    Proxy.endpoint, Proxy.switch = sys.argv[1], Path(sys.argv[3])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Proxy).serve_forever()
