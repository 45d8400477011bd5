"""The table of all keys of a preset, from the classes of the configuration."""

from collections.abc import Iterator
from typing import Any

from flows.rows.config import RenderConfig
from tests.bench.tables import replaced
from tests.pages.source import REPOSITORY, Page

PATH = "configs/README.md"
FIRST = ("models.", "portrait.")

Schema = dict[str, Any]


def keys_page() -> Page:
    """The page of the presets, with a table of every key there is."""
    schema = RenderConfig.model_json_schema()
    keys = sorted(_keys(schema, schema["$defs"]), key=lambda key: not key[0].startswith(FIRST))
    rows = (
        f"| `{name}` | {_default(key)} | {_values(key)} | {key.get('description', '')} |"
        for name, key in keys
    )
    table = ["| key | default | values | meaning |", "| --- | --- | --- | --- |", *rows]
    text = (REPOSITORY / PATH).read_text("utf-8")
    return Page(PATH, replaced(text, "keys", table, PATH))


def _keys(section: Schema, sections: Schema, prefix: str = "") -> Iterator[tuple[str, Schema]]:
    """The keys of a section and of those in it, with what the schema says of each."""
    required = section.get("required", ())
    for name, key in section["properties"].items():
        if "$ref" in key:
            inner = sections[key["$ref"].rpartition("/")[2]]
            yield from _keys(inner, sections, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", key | {"required": name in required}


def _default(key: Schema) -> str:
    return "required" if key["required"] else _shown(key.get("default"))


def _shown(value: object) -> str:
    match value:
        case None:
            return "unset"
        case bool():
            return str(value).lower()
        case str():
            return f"`{value}`"
        case list() | tuple():
            return f"[{', '.join(map(_shown, value))}]"
        case _:
            return f"{value:g}" if isinstance(value, float) else str(value)


def _values(key: Schema) -> str:
    """What a key may hold, in words."""
    if "examples" in key:
        return f"such as {', '.join(map(_shown, key['examples']))}"
    if "anyOf" in key:
        return " or ".join(_values(one) for one in key["anyOf"] if one.get("type") != "null")
    if "enum" in key:
        return ", ".join(map(_shown, key["enum"]))
    if key["type"] in ("integer", "number"):
        return _numbers(key)
    several = f"{key.get('maxItems')} numbers"
    return {"boolean": "true, false", "string": "text", "array": several}[key["type"]]


def _numbers(key: Schema) -> str:
    kind = "a whole number" if key["type"] == "integer" else "a number"
    if "multipleOf" in key:
        kind = f"a multiple of {key['multipleOf']}"
    if "maximum" in key:
        least = key.get("minimum", key.get("exclusiveMinimum"))
        above = "above " if "exclusiveMinimum" in key else "from "
        return f"{kind} {above}{_shown(least)} to {_shown(key['maximum'])}"
    if "exclusiveMinimum" in key:
        return f"{kind} above {_shown(key['exclusiveMinimum'])}"
    return f"{kind}, {_shown(key['minimum'])} or more" if "minimum" in key else kind
