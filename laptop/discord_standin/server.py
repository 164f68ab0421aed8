"""The stand-in's HTTP server: keeps connections open as Discord does, and can reset them."""

from __future__ import annotations

import socket
import struct
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from laptop.discord_standin.answers import DiscordAnswer
from laptop.discord_standin.app import StandIn
from laptop.discord_standin.limits import REQUEST_BYTES
from laptop.discord_standin.request import Request

RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER on, for 0 s: close sends RST instead of FIN
LARGEST: Final = 4 * REQUEST_BYTES  # bytes of a body that is read at all


class StandinServer(ThreadingHTTPServer):
    """One thread per connection; none keeps the process from ending."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], standin: StandIn) -> None:
        self.standin = standin
        super().__init__(address, Handler)

    @property
    def url(self) -> str:
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client that disconnects is not an error of the stand-in."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60.0  # an idle connection is closed, as Discord does
    wbufsize = -1  # head and body leave in one packet
    server: StandinServer

    def answer(self) -> None:
        """Answers one request of any method."""
        body = self._body()
        if body is None:
            return
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(
            self.command, url.path, dict(parse_qsl(url.query)), headers, body, str(self.client_address[0])
        )
        answer = self.server.standin.handle(request)
        if answer.delay:
            time.sleep(answer.delay)
        if answer.reset:
            self._reset()
        else:
            self._send(answer)

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = do_HEAD = answer

    def _body(self) -> bytes | None:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return self._chunks()
        length = int(self.headers.get("Content-Length") or 0)
        if length > LARGEST:
            self.close_connection = True
            self.send_error(413)
            return None
        return self.rfile.read(length)

    def _chunks(self) -> bytes:
        body = bytearray()
        while (size := int(self.rfile.readline(64).split(b";")[0], 16)) and len(body) + size <= LARGEST:
            body += self.rfile.read(size)
            self.rfile.readline(8)
        while self.rfile.readline(1024).strip():
            pass
        return bytes(body)

    def _send(self, answer: DiscordAnswer) -> None:
        self.send_response_only(answer.status)
        self.send_header("Date", self.date_time_string())
        if answer.content_type:
            self.send_header("Content-Type", answer.content_type)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _reset(self) -> None:
        """Ends the connection with RST, so that the client cannot know whether the request was accepted."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:
        """The stand-in keeps its own log; a request's path holds a token."""
