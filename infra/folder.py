"""A folder of files, on this machine or in S3. A file gets its name only when it is completely written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.fs
from deltalake.exceptions import DeltaError
from deltalake.fs import DeltaStorageHandler

from fleet.errors import ServiceUnavailable
from fleet.text import sentence


class Folder:
    """The folder at `location`, a path or an `s3://` address. All methods raise ServiceUnavailable, which names the
    file."""

    def __init__(self, location: str) -> None:
        self.location: Final = location
        with self._answering(""):
            if "://" not in location:
                Path(location).mkdir(parents=True, exist_ok=True)
            self._handler: Final = DeltaStorageHandler(location)
            self._files: Final = pyarrow.fs.PyFileSystem(self._handler)

    def names(self, below: str = "") -> list[str]:
        """The paths of all files below one of its folders, in order; none if there is no such folder."""
        with self._answering(below):
            wanted = pyarrow.fs.FileSelector(below, recursive=True, allow_not_found=True)
            return sorted(file.path for file in self._files.get_file_info(wanted) if file.is_file)

    def read(self, path: str) -> bytes:
        with self._answering(path), self._files.open_input_file(path) as file:
            content: bytes = file.read()
        return content

    def write(self, path: str, content: bytes) -> None:
        """Writes a file, replacing an existing one."""
        with self._answering(path):
            handler: Any = self._handler._handler  # pyarrow's stream over it passes it no bytes
            out = handler.open_output_stream(path, None)
            out.write(content)
            out.close()

    @contextmanager
    def _answering(self, path: str) -> Iterator[None]:
        try:
            yield
        except (OSError, DeltaError, pa.ArrowException) as error:
            raise ServiceUnavailable(f"{self.location}/{path} cannot be read or written: {sentence(error)}") from None
