"""MongoDB documents kept in the lake, for what cannot be computed from its rows again: `{view, document}` each.

A file of BSON, zstd, in a folder of the table whose name begins with `_`: Delta and its vacuum ignore such folders.
Before the documents stands `{layouts}`, the layout of each view's collection when the file was written: it may be read
into a database that has no documents, and so no layouts, yet. Files of before 0.2.0 have no such beginning.
"""

from __future__ import annotations

import re
from typing import Any, Final

import bson
import pyarrow as pa
from bson.codec_options import CodecOptions
from deltalake.exceptions import DeltaError

from fleet.errors import ServiceUnavailable
from fleet.text import sentence
from infra.delta import Snapshot, put, reading
from infra.mongo import layouts

_ENDING: Final = ".bson.zst"
_LAYOUTS: Final = "layouts"
_OPTIONS: Final = CodecOptions[dict[str, Any]](tz_aware=True)


def path(folder: str, name: str) -> str:
    return f"{folder}/{name}{_ENDING}"


def names(snapshot: Snapshot, folder: str, form: str) -> list[str]:
    """The names of the files in `folder` whose whole name matches the regular expression `form`, in order. A copy that
    a person has put next to them does not.
    """
    found = (path.rpartition("/")[2] for path in snapshot.names(folder))
    known = (name.removesuffix(_ENDING) for name in found if name.endswith(_ENDING))
    return [name for name in known if re.fullmatch(form, name, re.ASCII)]


def write(snapshot: Snapshot, at: str, documents: list[dict[str, Any]]) -> int:
    """Writes the file `at`, replacing an old one. Returns its bytes. Raises ServiceUnavailable."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as packed:
        packed.write(bson.encode({_LAYOUTS: layouts.current({each["view"] for each in documents})}))
        for document in documents:
            packed.write(bson.encode(document))
    content = sink.getvalue().to_pybytes()
    try:
        put(snapshot.root, at, content)
    except (DeltaError, OSError) as error:
        raise ServiceUnavailable(f"the lake cannot be written: {sentence(error)}") from None
    return len(content)


def read(snapshot: Snapshot, at: str) -> list[dict[str, Any]]:
    """Raises ServiceUnavailable that names the file: NewerLayout if a newer version wrote it."""
    with reading(at), snapshot.store.open_input_file(at) as file, pa.CompressedInputStream(file, "zstd") as packed:
        content = packed.read()
    try:
        found = bson.decode_all(content, _OPTIONS)
    except bson.errors.InvalidBSON as error:
        raise ServiceUnavailable(f"a file of the lake cannot be read: {at}: {sentence(error)}") from None
    if found and _LAYOUTS in found[0]:
        layouts.require_known(f"{at} in the lake:", found.pop(0)[_LAYOUTS])
    return found
