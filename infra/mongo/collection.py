"""What a collection of MongoDB is: its name, its layout, and the fields of its documents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_type_hints

import msgspec


@dataclass(frozen=True)
class Collection:
    """A collection. `layout` grows by one when an older version could misread a document.

    `document` is a TypedDict with all fields that a document may have; `message`: the struct of a message whose fields
    it has, too, but for those of `without`. `identifier` says what `_id` is, `writer` which process writes.
    """

    name: str
    layout: int
    document: Any
    identifier: str
    writer: str
    message: type[msgspec.Struct] | None = None
    without: tuple[str, ...] = ()

    @property
    def fields(self) -> list[str]:
        """The names of all fields but `_id`, in the order of the code."""
        return list(dict.fromkeys(self._names()))

    def _names(self) -> Iterator[str]:
        if self.message is not None:
            yield from (field.name for field in msgspec.structs.fields(self.message) if field.name not in self.without)
        yield from (name for name in get_type_hints(self.document) if name != "_id")
