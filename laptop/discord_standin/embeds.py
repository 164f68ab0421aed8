"""Reads embeds, checks them against every limit, and returns them in the shape that Discord stores.

Source: https://docs.discord.com/developers/resources/message#embed-object
"""

from __future__ import annotations

from typing import Any

from laptop.discord_standin import limits
from laptop.discord_standin.form import Form, Path


def read_embeds(form: Form, value: Any) -> list[dict[str, Any]]:
    """The embeds of a message, of `type` rich. Errors are added to `form`."""
    embeds = []
    for number, given in enumerate(form.items(value, ("embeds",), limits.EMBEDS)):
        record = form.record(given, ("embeds", number))
        if given is None:
            text = "List item values of ModelType are required"
            form.refuse(("embeds", number), "LIST_ITEM_VALUE_REQUIRED", text)
        elif record is not None:
            embeds.append(_embed(form, record, ("embeds", number)))
    if sum(map(size, embeds)) > limits.EMBED_TOTAL:
        form.refuse(("embeds",), "MAX_EMBED_SIZE_EXCEEDED", f"Embed size exceeds maximum size of {limits.EMBED_TOTAL}")
    return embeds


def size(embed: dict[str, Any]) -> int:
    """UTF-16 code units that count towards the limit over all embeds of a message."""
    texts = [embed.get("title"), embed.get("description")]
    texts += [embed.get("footer", {}).get("text"), embed.get("author", {}).get("name")]
    texts += [text for field in embed.get("fields", ()) for text in (field["name"], field["value"])]
    return sum(limits.units(text) for text in texts if text)


def _embed(form: Form, given: dict[str, Any], path: Path) -> dict[str, Any]:
    embed: dict[str, Any] = {
        "type": "rich",
        "title": form.text(given.get("title"), (*path, "title"), limits.TITLE),
        "description": form.text(given.get("description"), (*path, "description"), limits.DESCRIPTION),
        "url": form.url(given.get("url"), (*path, "url")),
        "color": form.integer(given.get("color"), (*path, "color"), limits.COLOR),
        "timestamp": form.moment(given.get("timestamp"), (*path, "timestamp")),
        "author": _named(form, given.get("author"), (*path, "author"), "name", limits.AUTHOR),
        "footer": _named(form, given.get("footer"), (*path, "footer"), "text", limits.FOOTER),
        "image": _picture(form, given.get("image"), (*path, "image")),
        "thumbnail": _picture(form, given.get("thumbnail"), (*path, "thumbnail")),
        "fields": _fields(form, given.get("fields"), (*path, "fields")),
    }
    embed = {name: value for name, value in embed.items() if value not in (None, [])}
    # Discord reports an embed with nothing to show as one that lacks a description.
    if not embed.keys() - {"type", "color", "timestamp", "url"} and not form.errors:
        form.refuse((*path, "description"), "BASE_TYPE_REQUIRED", "This field is required")
    return embed


def _fields(form: Form, value: Any, path: Path) -> list[dict[str, Any]]:
    fields = []
    for number, given in enumerate(form.items(value, path, limits.FIELDS)):
        at = (*path, number)
        record = form.record(given, at)
        if record is not None:
            name = form.text(record.get("name"), (*at, "name"), limits.FIELD_NAME, required=True)
            text = form.text(record.get("value"), (*at, "value"), limits.FIELD_VALUE, required=True)
            inline = form.flag(record.get("inline"), (*at, "inline"))
            fields.append({"name": name or "", "value": text or "", "inline": inline})
    return fields


def _named(form: Form, value: Any, path: Path, key: str, most: int) -> dict[str, Any] | None:
    """An author (`name`) or a footer (`text`) with its icon; None if there is none."""
    record = form.record(value, path)
    if not record:
        return None
    text = form.text(record.get(key), (*path, key), most, required=True)
    fields = {key: text, "icon_url": form.url(record.get("icon_url"), (*path, "icon_url"), attachment=True)}
    if key == "name":
        fields["url"] = form.url(record.get("url"), (*path, "url"))
    return {name: value for name, value in fields.items() if value is not None}


def _picture(form: Form, value: Any, path: Path) -> dict[str, Any] | None:
    record = form.record(value, path)
    url = form.url(record.get("url"), (*path, "url"), attachment=True) if record else None
    return {"url": url} if url else None
