"""A lake on S3: what Spark needs, and keys from files. Everything else reads the usual `AWS_*` variables itself.

Landing, the batch layer's own reading and writing, and serving use deltalake's store. Spark has Hadoop's, S3A, which
takes the keys from the environment itself and gives them to its workers. `python -m infra.s3` fetches its jars, for an
environment that nobody can write to later.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Final

from fleet.errors import BadSettings, PeacewatchError, ServiceUnavailable
from infra.jars import Jars
from infra.secrets import S3_KEYS, secret

SCHEME: Final = "s3://"

S3A: Final = Jars(
    what="Spark for S3",
    name="s3a-3.4.2",
    # The Hadoop of pyspark, and the AWS SDK that it was built with.
    artifacts={
        "org.apache.hadoop/hadoop-aws": "3.4.2",
        "software.amazon.awssdk/s3": "2.29.52",
        "software.amazon.awssdk/s3-transfer-manager": "2.29.52",
        "software.amazon.awssdk/sts": "2.29.52",  # keys by a role, as pods have them
    },
    hashes=Path(__file__).with_name("s3_jars.sha256"),
    # `bundle` is the SDK of all of Amazon's services, hundreds of MB; all this is 13. The others Spark brings itself.
    without=(
        *("software.amazon.awssdk/bundle", "org.wildfly.openssl"),
        *("io.netty", "org.slf4j", "commons-codec", "commons-logging", "org.apache.httpcomponents"),
    ),
)


def jars(lake: str) -> str | None:
    """The jars that Spark needs for the lake, comma-separated; None: none. Raises MissingPart."""
    return ",".join(sorted(map(str, S3A.fetch().glob("*.jar")))) if lake.startswith(SCHEME) else None


def spark_settings(lake: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The settings that S3A does not read from the environment itself."""
    if not lake.startswith(SCHEME):
        return {}
    endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    by_host = environ.get("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "").lower() in ("1", "true", "yes", "on", "y")
    found = {
        "fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        # The default since 3.5.0 is made for Amazon's own S3 alone.
        "fs.s3a.input.stream.type": "classic",
        "fs.s3a.endpoint": endpoint,
        "fs.s3a.endpoint.region": region,
        # As deltalake's store has it: buckets of a store of one's own mostly have no host names.
        "fs.s3a.path.style.access": "true" if endpoint and not by_host else None,
    }
    return {f"spark.hadoop.{name}": value for name, value in found.items() if value}


def keys_from_files(environ: MutableMapping[str, str] = os.environ) -> None:
    """Sets each of S3_KEYS from the file that the variable with `_FILE` at its end names. Raises BadSettings.

    A store keeps the keys that it was opened with: see `fresh_keys`.
    """
    for key in S3_KEYS:
        if (found := secret(environ, key)) is not None:
            environ[key] = found


def fresh_keys(lake: str) -> tuple[str | None, ...]:
    """Call it before a long-running process opens its store, each time: keys expire, and files get new ones.

    The keys, of a folder none. A store that is kept open must be opened again when they are others.
    Raises ServiceUnavailable if a file cannot be read now: it may be about to be replaced.
    """
    if not lake.startswith(SCHEME):
        return ()
    try:
        keys_from_files()
    except BadSettings as error:
        raise ServiceUnavailable(str(error)) from None
    return tuple(os.environ.get(key) for key in S3_KEYS)


if __name__ == "__main__":
    try:
        print(S3A.fetch())
    except PeacewatchError as error:
        sys.exit(str(error))
