"""A real Keycloak of a test's own: its distribution from Maven, held to a hash, in a folder that goes away."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from infra.jars import SHARE, _ivy
from infra.java import java
from laptop import ports
from tests.support.waiting import answers

VERSION: Final = "26.7.3"
SHA256: Final = "27a6535553c3cdcd083872ba40629efafb3475e3b758e0c6f691395561dd0f1f"
KEPT: Final = SHARE / f"keycloak-{VERSION}.zip"
START_SECONDS: Final = 600
"""It compiles itself at the first start, and the machine may be busy."""

REALM: Final = "duty"
MODULE: Final = f"""<ivy-module version="2.0"><info organisation="tests" module="keycloak"/>
<configurations><conf name="default"/></configurations><dependencies>
<dependency org="org.keycloak" name="keycloak-quarkus-dist" rev="{VERSION}" transitive="false" conf="default->*">
<artifact name="keycloak-quarkus-dist" type="zip" ext="zip"/></dependency></dependencies></ivy-module>"""


def realm(client: str, secret: str, redirect: str, people: dict[str, list[str]]) -> dict[str, Any]:
    """A realm with the client and `people` by name with their roles; a password is the name and "-password"."""
    role_names = sorted({role for roles in people.values() for role in roles})
    mappers = {
        "oidc-usermodel-realm-role-mapper": {
            "claim.name": "roles",
            "multivalued": "true",
            "jsonType.label": "String",
            "id.token.claim": "true",
            "access.token.claim": "true",
        },
        "oidc-audience-mapper": {
            "included.client.audience": client,
            "id.token.claim": "false",
            "access.token.claim": "true",
        },
    }
    ours = {
        "clientId": client,
        "secret": secret,
        "directAccessGrantsEnabled": True,
        "redirectUris": [redirect],
        "attributes": {"pkce.code.challenge.method": "S256", "post.logout.redirect.uris": "http://localhost/"},
        "protocolMappers": [
            {"name": kind, "protocol": "openid-connect", "protocolMapper": kind, "config": config}
            for kind, config in mappers.items()
        ],
    }
    other = {"clientId": "other", "secret": secret, "directAccessGrantsEnabled": True}
    return {
        "realm": REALM,
        "enabled": True,
        "sslRequired": "none",
        "roles": {"realm": [{"name": name} for name in role_names]},
        "clients": [ours, other],
        "users": [
            {
                **{"username": name, "enabled": True, "emailVerified": True, "email": f"{name}@example.org"},
                **{"firstName": name.title(), "lastName": "Lind", "realmRoles": roles},
                "credentials": [{"type": "password", "value": f"{name}-password"}],
            }
            for name, roles in people.items()
        ],
    }


@contextmanager
def serving(folder: Path, of: dict[str, Any]) -> Iterator[str]:
    """The issuer of the realm `of` on a free port."""
    with zipfile.ZipFile(fetched(folder)) as file:
        file.extractall(folder)
    home = folder / f"keycloak-{VERSION}"
    imported = home / "data" / "import"
    imported.mkdir(parents=True)
    (imported / "realm.json").write_text(json.dumps(of), encoding="utf-8")
    port = ports.free_port()
    options = ["--http-host=127.0.0.1", f"--http-port={port}", "--import-realm"]
    environ = {**os.environ, "JAVA_HOME": str(Path(java()).resolve().parents[1]), "JAVA_OPTS_KC_HEAP": "-Xmx512m"}
    log = folder / "keycloak.log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            ["sh", str(home / "bin" / "kc.sh"), "start-dev", *options],
            env=environ, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        issuer = f"http://127.0.0.1:{port}/realms/{REALM}"
        _wait(issuer, server, log)
        yield issuer
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def fetched(folder: Path) -> Path:
    """The distribution, by Ivy as the jars; kept in the environment."""
    if not KEPT.exists():
        module = folder / "ivy.xml"
        module.write_text(MODULE, encoding="utf-8")
        pattern = str(folder / "[artifact].[ext]")
        ivy = ["-warn", "-cache", folder / "cache", "-ivy", module, "-retrieve", pattern, "-types", "zip"]
        subprocess.run([str(java()), "-jar", str(_ivy()), *map(str, ivy)], check=True, capture_output=True)
        made = folder / "keycloak-quarkus-dist.zip"
        assert hashlib.sha256(made.read_bytes()).hexdigest() == SHA256, "this is another Keycloak"
        shutil.move(made, KEPT)
    return KEPT


def _wait(issuer: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        assert server.poll() is None, log.read_text(errors="replace")[-3000:]
        if answers(f"{issuer}/.well-known/openid-configuration"):
            return
        time.sleep(0.5)
    raise AssertionError(f"Keycloak does not answer: {log.read_text(errors='replace')[-3000:]}")
