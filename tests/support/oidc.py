"""An OpenID Connect provider of the tests' own, over HTTP, which can also misbehave: for attacks on the checks.

It checks what a real one checks (client, redirect URI, PKCE, a code works once). What it signs is in `claims` and
`header`: a test changes them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlencode, urlsplit

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.jwk import RSAKey

POLL_SECONDS = 0.02
"""How often the server looks whether it shall end; the default costs each test half a second."""

CLIENT, SECRET = "peacewatch", "s3cret-of-the-client-with-32-characters"


@cache
def first_key() -> RSAKey:
    """Made once: a key takes a quarter of a second."""
    return new_key("first")


def new_key(name: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": name, "use": "sig", "alg": "RS256"})


@dataclass
class Provider:
    """`claims`: changes to those of the next tokens; None takes one out. `calls`: how often each path was asked for."""

    issuer: str = ""
    key: RSAKey = field(default_factory=first_key)
    published: list[RSAKey] = field(default_factory=list)
    claims: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    forged_key: RSAKey | None = None  # signs in place of the right one
    shared_secret: bytes | None = None  # signs by HMAC; b"": nothing signs
    alg: str = "none"
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)  # to its document
    secret: str = SECRET
    takes_basic: bool = True  # else the client's secret in the form alone
    is_away: bool = False
    answers: threading.Event = field(default_factory=threading.Event)  # cleared: a request for keys hangs
    is_asked: threading.Event = field(default_factory=threading.Event)  # a request for keys has come

    def token(self, **more: Any) -> str:
        """A signed token of Mara, an operator."""
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": "u-1", "aud": CLIENT, "iat": now, "exp": now + 300}
        claims |= {"preferred_username": "mara", "roles": ["operator"], **more, **self.claims}
        claims = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": "RS256", "kid": self.key.kid, **self.header}
        if self.shared_secret is None:
            return jwt.encode(header, claims, self.forged_key or self.key)
        text = ".".join(_base64(json.dumps(each).encode()) for each in ({**header, "alg": self.alg}, claims))
        signature = hmac.new(self.shared_secret, text.encode(), hashlib.sha256).digest() if self.shared_secret else b""
        return f"{text}.{_base64(signature)}"

    def rotate(self, name: str) -> None:
        """Signs with a new key from now on, and publishes that alone."""
        self.key = new_key(name)
        self.published = [self.key]

    def authorize(self, address: str) -> str:
        """A person signs in: the address that the browser is sent back to."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert (query["response_type"], query["client_id"]) == ("code", CLIENT)
        assert (query["code_challenge_method"], "openid" in query["scope"].split()) == ("S256", True)
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def exchange(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        encoded = f"{quote_plus(CLIENT)}:{quote_plus(self.secret)}"  # RFC 6749, 2.3.1
        basic = "Basic " + base64.b64encode(encoded.encode()).decode()
        asked = self.codes.pop(form.get("code", ""), None)
        is_in_form = (form.get("client_id"), form.get("client_secret")) == (CLIENT, self.secret)
        if not (authorization == basic if self.takes_basic else is_in_form and not authorization):
            return 401, {"error": "invalid_client"}
        if asked is None or form.get("redirect_uri") != asked["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        if create_s256_code_challenge(form.get("code_verifier", "")) != asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        return 200, {"access_token": "opaque", "token_type": "Bearer", "id_token": self.token(nonce=asked["nonce"])}

    def keys(self) -> dict[str, Any]:
        return {"keys": [key.as_dict(private=False) for key in self.published]}

    def document(self) -> dict[str, Any]:
        names = {"authorization_endpoint": "auth", "token_endpoint": "token", "jwks_uri": "keys"}
        names |= {"end_session_endpoint": "logout"}
        addresses = {name: f"{self.issuer}/{path}" for name, path in names.items()}
        return {"issuer": self.issuer, **addresses, **self.changes}


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


@contextmanager
def provider() -> Iterator[Provider]:
    """A provider that answers on a port of its own."""
    made = Provider()
    made.published = [made.key]
    made.answers.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/.well-known/openid-configuration":
                self._answer(200, made.document())
            elif self.path == "/keys":
                made.is_asked.set()
                made.answers.wait()
                self._answer(200, made.keys())
            elif self.path.startswith("/auth?"):
                self._sign_in()
            else:
                self._answer(404, {})

        def _sign_in(self) -> None:
            """As a provider where Mara is signed in: back at once, or by a link where the password is asked for."""
            back = made.authorize(self.path)
            is_asked = "prompt=login" in self.path
            self.send_response(200 if is_asked else 302)
            self.send_header("Content-Type", "text/html")
            if not is_asked:
                self.send_header("Location", back)
            self.end_headers()
            self.wfile.write(f'<h1>Password, please</h1><a href="{escape(back)}">Continue</a>'.encode())

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(text).items()}
            self._answer(*made.exchange(form, self.headers.get("Authorization", "")))

        def _answer(self, status: int, content: dict[str, Any]) -> None:
            made.calls[self.path] = made.calls.get(self.path, 0) + 1
            body = json.dumps(content).encode()
            self.send_response(503 if made.is_away else status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.issuer = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(POLL_SECONDS,), daemon=True).start()
    try:
        yield made
    finally:
        made.answers.set()
        server.shutdown()
        server.server_close()
