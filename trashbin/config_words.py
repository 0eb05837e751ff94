"""What a key of the configuration expects, in plain English, read off its class."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import cache
from typing import Any, get_args

from trashbin.config_yaml import KeyPath, Scalar, scalar, short
from trashbin.settings import Section


def expected(schema: dict[str, Any]) -> str:
    """A field's JSON schema in plain English: ``a whole number from 2 to 27``."""
    if "enum" in schema:
        return one_of(schema["enum"])
    if schema.get("type") == "object":
        return "a group of keys"
    if "description" in schema:
        return str(schema["description"])
    if "anyOf" in schema:
        return " or ".join(expected(choice) for choice in schema["anyOf"])
    if "prefixItems" in schema:
        items = schema["prefixItems"]
        return f"a list of {len(items)}, each {expected(items[0])}"
    if schema.get("type") in ("integer", "number"):
        return ("a whole number" if schema["type"] == "integer" else "a number") + _range(schema)
    if schema.get("format") == "path":
        return "the path of a file or folder"
    return {"boolean": "true or false", "array": "a list"}.get(schema.get("type", ""), "text")


def hint(value: Scalar, schema: dict[str, Any]) -> str:
    """What to write instead of ``value``, where that can be guessed."""
    kind = schema.get("type")
    if "enum" in schema:
        return did_you_mean(value, [str(choice) for choice in schema["enum"]])
    if isinstance(value, str) and kind in ("integer", "number"):
        unquoted = scalar(value)
        is_number = isinstance(unquoted, int | float) and not isinstance(unquoted, bool)
        return f"write {short(value)} without quotes" if is_number else ""
    if isinstance(value, bool | int | float) and kind == "string":
        return "put it in quotes"
    if isinstance(value, str) and kind == "array":
        return f"write it as a list: [{short(value)}]"
    return ""


def one_of(choices: Iterable[object]) -> str:
    """``one of a, b, c``, or the only choice."""
    words = [str(choice) for choice in choices]
    return f"one of {', '.join(words)}" if len(words) > 1 else words[0]


def nearest(value: Scalar, choices: Iterable[str]) -> str:
    """The choice that ``value`` is probably a slip for, or nothing."""
    close = difflib.get_close_matches(value, list(choices), n=1) if isinstance(value, str) else []
    return close[0] if close else ""


def did_you_mean(value: Scalar, choices: Iterable[str]) -> str:
    """``did you mean servo?``, or nothing where no choice is near."""
    close = nearest(value, choices)
    return f"did you mean {close}?" if close else ""


def kind_of(cls: type[Section]) -> str:
    """The word that chooses this class; empty where there is nothing to choose."""
    info = cls.model_fields.get("kind")
    return str(get_args(info.annotation)[0]) if info else ""


def class_at(cls: type[Section], keys: Iterable[str | int]) -> type[Section]:
    """The class of a section nested in ``cls``, such as ``tls`` in ``publisher``."""
    for key in keys:
        annotation = cls.model_fields[str(key)].annotation
        cls = next(inner for inner in (get_args(annotation) or (annotation,)) if is_section(inner))
    return cls


def is_section(annotation: Any) -> bool:
    """Whether this is a class of settings, and not a plain type such as int."""
    return isinstance(annotation, type) and issubclass(annotation, Section)


def schema_at(cls: type[Section], path: KeyPath) -> dict[str, Any]:
    """The JSON schema of a field, its references resolved and null left out."""
    root = _schema(cls)
    schema = root
    for part in path:
        if isinstance(part, str):
            others = schema.get("additionalProperties") or {}  # False where there are none
            schema = schema.get("properties", {}).get(part, others)
        else:
            fixed = schema.get("prefixItems", [])
            schema = fixed[part] if part < len(fixed) else schema.get("items", {})
        choices = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
        if len(choices) == 1:
            schema = choices[0]
        if "$ref" in schema:
            schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


@cache
def _schema(cls: type[Section]) -> dict[str, Any]:
    return cls.model_json_schema()


def _range(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" from {low:.15g} to {high:.15g}"
    bounds = {
        "above": schema.get("exclusiveMinimum"),
        "of at least": low,
        "below": schema.get("exclusiveMaximum"),
        "up to": high,
    }
    told = [f"{word} {bound:.15g}" for word, bound in bounds.items() if bound is not None]
    return " " + " and ".join(told) if told else ""
