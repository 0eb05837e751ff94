"""YAML -> ``settings.Config``: every mistake at once, with its line and what was expected.

The file is read in three steps: YAML to plain data that remembers its lines
(``config_yaml``), each section into its class, and the checks that need several sections
(``config_checks``). A mistake in one section does not hide those in the others, and the
sections that are sound are handed out for safe mode. No file but the YAML and labels.txt is
read, and no device is touched.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import ValidationError

from trashbin import config_words as words
from trashbin.config_checks import Checks
from trashbin.config_yaml import MAX_BYTES, START, Document, KeyPath, Mistake, spell
from trashbin.errors import ConfigError
from trashbin.settings import Config, Section, Store


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a file gave: a configuration, or what is wrong with it.

    ``sections`` holds what is sound, by key path (``device``, ``publisher``,
    ``bins.paper``, ``triggers[0]``), whether or not the rest is. ``store`` keeps those of its keys
    that are: what a bin records goes where it always went.
    """

    config: Config | None
    mistakes: tuple[Mistake, ...]
    sections: dict[str, Section]


def read(path: Path) -> Config:
    """The configuration in ``path``; ConfigError tells every mistake in it."""
    return sound(load(path), str(path))


def sound(loaded: Loaded, name: str) -> Config:
    """The configuration that was loaded; ConfigError tells every mistake in what has that name."""
    if loaded.config is None:
        count = len(loaded.mistakes)
        told = "\n".join(str(mistake) for mistake in loaded.mistakes)
        raise ConfigError(f"{name}: {count} mistake{'s' * (count > 1)}\n{told}")
    return loaded.config


def load(path: Path) -> Loaded:
    """Read ``path`` and tell everything that is wrong with it; raises nothing.

    Relative paths in the YAML are relative to the folder that it lies in.
    """
    try:
        if path.exists() and not path.is_file():  # reading a pipe would wait for its writer
            found = "no readable file (it is a directory or a device)"
            return Loaded(None, (Mistake(0, 0, "", found, "a YAML file"),), {})
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        found = f"no readable file ({error.strerror})"
        return Loaded(None, (Mistake(0, 0, "", found, "a YAML file"),), {})
    return parse(content, path.absolute().parent)


def parse(content: bytes, folder: Path) -> Loaded:
    """What ``load`` makes of a file with this content in ``folder``."""
    document = Document()
    data = document.parse(content)
    if data is None:
        return Loaded(None, tuple(document.mistakes), {})
    return _Reader(document, folder).load(data)


@dataclass(frozen=True, slots=True)
class _Shape:
    """How a top-level key is built: one section, a dict of them or a tuple of them."""

    classes: tuple[type[Section], ...]
    many: type | None
    required: bool


@cache
def _shapes() -> dict[str, _Shape]:
    """Each top-level key with the classes that it may hold, read off ``Config`` itself."""
    shapes = {}
    for name, info in Config.model_fields.items():
        annotation = info.annotation
        many = get_origin(annotation)
        if many in (dict, tuple):
            annotation = get_args(annotation)[1 if many is dict else 0]
        else:
            many = None
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        union = get_origin(annotation) in (Union, UnionType)
        classes = get_args(annotation) if union else (annotation,)
        if all(words.is_section(cls) for cls in classes):
            shapes[name] = _Shape(classes, many, info.is_required())
    return shapes


@dataclass
class _Reader:
    """Turns plain data into sections; ``parts`` holds those that are sound by themselves."""

    document: Document
    folder: Path
    parts: dict[KeyPath, Section] = field(default_factory=dict)
    torn: dict[KeyPath, Section] = field(default_factory=dict)  # of the others, what is sound

    def load(self, data: dict[str, Any]) -> Loaded:
        note = self.document.note
        if data.get("version") is True or data.get("version") != 1:
            note(("version",), "1", "" if "version" in data else "add the line version: 1")
        meant = [
            self._unknown((name,), Config, ()) for name in data if name not in Config.model_fields
        ]
        for name, shape in _shapes().items():
            if name in data:
                self._section(name, shape, data[name])
            elif not shape.required:
                self.parts[(name,)] = Config.model_fields[name].default
            elif name not in meant:
                note((name,), "this section", START)
        Checks(self.document, self.parts, self.torn, data).run()
        mistakes = tuple(sorted(self.document.mistakes, key=lambda m: (m.line, m.column, m.key)))
        if not mistakes:
            return Loaded(self._whole(), mistakes, self._sound(mistakes))
        return Loaded(None, mistakes, {"store": self._store(data)} | self._sound(mistakes))

    def _section(self, name: str, shape: _Shape, data: Any) -> None:
        if shape.many is None:
            self._part((name,), shape.classes, data)
        elif shape.many is dict:
            if not isinstance(data, dict) or not data:
                self.document.note((name,), "bins by their names, at least one")
                return
            for key, value in data.items():
                if not 1 <= len(key) <= 64 or not key.isprintable():
                    self.document.note(
                        (name, key), "a name of 1 to 64 characters", found="this key"
                    )
                self._part((name, key), shape.classes, value)
        else:
            if not isinstance(data, list) or not data:
                self.document.note((name,), "a list whose items begin with - kind:, at least one")
                return
            for index, value in enumerate(data):
                self._part((name, index), shape.classes, value)

    def _part(self, path: KeyPath, classes: Sequence[type[Section]], data: Any) -> None:
        data = {} if data is None else data  # a section whose keys are all commented out
        if not isinstance(data, dict):
            self.document.note(path, "a group of keys")
            return
        cls = classes[0]
        if len(classes) > 1:
            kinds = {words.kind_of(cls): cls for cls in classes}
            kind = data.get("kind")
            if not isinstance(kind, str) or kind not in kinds:
                slip = words.nearest("kind", data) if "kind" not in data else ""
                guess = f"did you mean kind: where {slip}: stands?" if slip else ""
                guess = guess or words.did_you_mean(kind, kinds)
                self.document.note((*path, "kind"), words.one_of(kinds), guess)
                return
            cls = kinds[kind]
        try:
            # strict JSON, as lax Python would take true for the angle 1 and "9" for a pin
            self.parts[path] = cls.model_validate_json(
                json.dumps(data), strict=True, context={"folder": self.folder}
            )
        except ValidationError as error:
            self._explain(path, cls, classes, error)
            wrong = {fault["loc"][0] for fault in error.errors() if fault["loc"]}
            sound = {key: value for key, value in data.items() if key not in wrong}
            self.torn[path] = cls.model_construct(**sound)

    def _explain(
        self,
        path: KeyPath,
        cls: type[Section],
        classes: Sequence[type[Section]],
        error: ValidationError,
    ) -> None:
        """Note each fault once; a key that is misspelt is not missing too."""
        faults = [
            ((*path, *fault["loc"]), fault["type"])
            for fault in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        told = set()
        for at, kind in faults:
            if kind == "extra_forbidden":
                parent = words.class_at(cls, at[len(path) : -1])
                told.add((*at[:-1], self._unknown(at, parent, classes)))
        for at, kind in faults:
            if kind == "extra_forbidden":
                continue
            if kind != "missing" or isinstance(at[-1], int):
                at = self.document.known(at)
            if at not in told:
                told.add(at)
                schema = words.schema_at(cls, at[len(path) :])
                value = self.document.value(at) if at in self.document else None
                self.document.note(at, words.expected(schema), words.hint(value, schema))

    def _unknown(self, path: KeyPath, cls: type[Section], classes: Sequence[type[Section]]) -> str:
        """Note an unknown key; returns the key that was probably meant, or nothing."""
        key = str(path[-1])
        meant = ""
        kinds = [words.kind_of(other) for other in classes if key in other.model_fields]
        homes = [
            name
            for name, shape in _shapes().items()
            if len(path) == 1 and any(key in inner.model_fields for inner in shape.classes)
        ]
        if kinds:
            suggestion = f"only {words.one_of(f'kind: {kind}' for kind in kinds)} has it"
        elif homes:
            suggestion = f"it belongs under {homes[0]}:"
        else:
            meant = words.nearest(key, cls.model_fields)
            suggestion = words.did_you_mean(key, cls.model_fields)
        self.document.note(path, words.one_of(cls.model_fields), suggestion, "an unknown key")
        return meant

    def _sound(self, mistakes: Sequence[Mistake]) -> dict[str, Section]:
        """The parts that no mistake lies in."""
        wrong = [mistake.key for mistake in mistakes]
        named = {spell(path): part for path, part in self.parts.items()}
        return {
            name: part
            for name, part in named.items()
            if not any(key == name or key.startswith(f"{name}.") for key in wrong)
        }

    def _store(self, data: dict[str, Any]) -> Store:
        """The store by those of its keys that are sound by themselves."""
        found, context = Store(), {"folder": self.folder}
        given = data.get("store")
        for key, value in given.items() if isinstance(given, dict) else ():
            with suppress(ValidationError):
                told = json.dumps({key: value})
                one = Store.model_validate_json(told, strict=True, context=context)
                found = found.model_copy(update={key: getattr(one, key)})
        return found

    def _whole(self) -> Config:
        values: dict[str, Any] = {"version": 1}
        for name, shape in _shapes().items():
            inside = {path[1:]: part for path, part in self.parts.items() if path[0] == name}
            if shape.many is None:
                values[name] = inside[()]
            elif shape.many is dict:
                values[name] = {path[0]: part for path, part in inside.items()}
            else:
                values[name] = tuple(inside.values())
        # each part is validated, and to validate them again as one takes a tenth of the start
        return Config.model_construct(**values)
