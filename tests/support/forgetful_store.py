"""A store that does not know `If-None-Match`: a real one behind a proxy that drops the header.

python -m tests.support.forgetful_store ENDPOINT PORT. A process of its own, since deltalake holds Python's lock while
it waits for a list of files. Who asks it must not sign (AWS_SKIP_SIGNATURE), for the signature covers the header.
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

NOT_PASSED_ON = ("transfer-encoding", "connection", "content-length", "content-encoding")


class Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        kept = {name: value for name, value in self.headers.items() if name.lower() != "if-none-match"}
        answer = httpx.request(self.command, sys.argv[1] + self.path, headers=kept, content=body, timeout=30)
        self.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name.lower() not in NOT_PASSED_ON:
                self.send_header(name, value)
        head = self.command == "HEAD"
        self.send_header(
            "content-length", answer.headers.get("content-length", "0") if head else str(len(answer.content))
        )
        self.end_headers()
        self.wfile.write(answer.content)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = pass_on

    def log_message(self, *_: Any) -> None:
        """Nothing."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Proxy).serve_forever()
