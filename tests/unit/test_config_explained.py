"""The shipped YAML that explains every key."""

from __future__ import annotations

import re
from typing import Any, get_args

from pydantic_core import PydanticUndefined

from trashbin import resources
from trashbin.config_words import kind_of
from trashbin.settings import Config, Section


def nested(annotation: Any) -> list[type[Section]]:
    """Every class of settings that a type mentions."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [found for inner in get_args(annotation) for found in nested(inner)]


def _documented(cls: type[Section], lines: list[str]) -> None:
    """Each key stands in ``lines``, with its default where it has one."""
    for name, info in cls.model_fields.items():
        inner = nested(info.annotation)
        pattern = re.compile(rf"[ #-]*\b{name}:( |$)")
        at = next((i for i, line in enumerate(lines) if pattern.match(line)), None)
        assert at is not None, f"{cls.__name__}.{name} is not explained"
        if inner:
            _documented(inner[0], lines[at + 1 :])
        elif info.default not in (None, PydanticUndefined, ""):
            comment = lines[at].partition("# ")[2]
            for line in lines[at + 1 :]:  # a comment may go on below
                if not re.fullmatch(r" {20,}# .*", line):
                    break
                comment += line
            told = re.search(r"default (\S+)", comment.replace("#", ""))
            value = str(getattr(info.default, "value", info.default)).lower()
            assert told, f"{cls.__name__}.{name}: its default is not told"
            assert told[1].rstrip(".,;:") == value, f"{cls.__name__}.{name}: {comment}"


def test_the_commented_file_explains_every_key_and_its_default() -> None:
    text = (resources.root() / "config" / "trashbin.yaml").read_text(encoding="utf-8")
    chapters = {
        chapter.partition(":")[0]: chapter.splitlines()
        for chapter in re.split(r"^(?=[a-z]+:)", text, flags=re.MULTILINE)[1:]
    }
    assert list(chapters) == list(Config.model_fields)
    for name, info in Config.model_fields.items():
        for cls in nested(info.annotation):
            lines = chapters[name]
            if kind_of(cls):
                starts = [i for i, line in enumerate(lines) if re.match(r"[ #-]*\bkind: ", line)]
                mine = [i for i in starts if re.search(rf"kind: {kind_of(cls)}\b", lines[i])]
                assert mine, f"{name}: kind: {kind_of(cls)} is not explained"
                end = next((i for i in starts if i > mine[0]), len(lines))
                lines = lines[mine[0] : end]
            _documented(cls, lines)
