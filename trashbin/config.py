"""YAML -> ``settings.Config``: every mistake at once, with its line and what was expected.

The file is read in three steps: YAML to plain data that remembers its lines, each section
into its class, and the checks that need several sections. A mistake in one section does not
hide those in the others, and the sections that are sound are handed out for safe mode.
No file but the YAML (and labels.txt) is read, and no device is touched.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeAlias, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import ValidationError

from trashbin import resources, settings
from trashbin.errors import ConfigError
from trashbin.settings import Config, Section

MAX_BYTES = 256 * 1024
MAX_DEPTH = 12  # the deepest key of a configuration lies five levels down

KeyPath: TypeAlias = tuple[str | int, ...]
S = TypeVar("S", bound=Section)

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong, for people.

    ``line`` and ``column`` count from 1 and are 0 where the whole file is meant; ``key`` is
    a path such as ``triggers[0].pin``, empty where there is none.
    """

    line: int
    column: int
    key: str
    found: str
    expected: str
    suggestion: str = ""

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        key = f"{self.key}: " if self.key else ""
        text = f"{where}{key}found {self.found}, expected {self.expected}"
        return f"{text}\n    {self.suggestion}" if self.suggestion else text


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a file gave: a configuration, or what is wrong with it.

    ``sections`` holds what is sound by itself, by key path (``device``, ``publisher``,
    ``bins.paper``, ``triggers[0]``), whether or not the rest is.
    """

    config: Config | None
    mistakes: tuple[Mistake, ...]
    sections: dict[str, Section]


def read(path: Path) -> Config:
    """The configuration in ``path``; ConfigError tells every mistake in it."""
    loaded = load(path)
    if loaded.config is None:
        count = len(loaded.mistakes)
        told = "\n".join(f"  {mistake}" for mistake in loaded.mistakes)
        raise ConfigError(f"{path}: {count} mistake{'s' * (count > 1)}\n{told}")
    return loaded.config


def load(path: Path) -> Loaded:
    """Read ``path`` and tell everything that is wrong with it; raises nothing.

    Relative paths in the YAML are relative to the folder that it lies in.
    """
    document = _Document()
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or "cannot be read"
        return Loaded(None, (Mistake(0, 0, "", f"no file ({reason})", "a YAML file"),), {})
    except ValueError:  # a NUL in the name
        return Loaded(None, (Mistake(0, 0, "", "no file name", "a YAML file"),), {})
    data = document.parse(content)
    if data is None:
        return Loaded(None, tuple(document.mistakes), {})
    return _Reader(document, path.absolute().parent).load(data)


# ---------------------------------------------------------------- YAML -> plain data


class _Loader(yaml.SafeLoader):
    """Composes nodes, and refuses what a configuration does not need and a bomb does."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()
        problem = ""
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            problem = "an anchor or alias (& or *)"
        elif getattr(event, "tag", None):
            problem = "a tag (!)"
        elif isinstance(event, yaml.ScalarEvent) and _CONTROL.search(event.value):
            problem = "a control character"
        elif self.depth > MAX_DEPTH:
            problem = f"more than {MAX_DEPTH} levels"
        if problem:
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


class _Document:
    """The YAML as plain data; remembers for each key path where it stands and how it is written."""

    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []
        self._marks: dict[KeyPath, tuple[yaml.Mark, yaml.Node]] = {}

    def __contains__(self, path: KeyPath) -> bool:
        return path in self._marks

    def parse(self, content: bytes) -> dict[str, Any] | None:
        """The top mapping, or None after noting why there is none."""
        if len(content) > MAX_BYTES:
            self._whole("more than 256 KB", "a configuration of a few pages")
            return None
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            self._whole("bytes that are not UTF-8", "text saved as UTF-8", line)
            return None
        try:
            loader = _Loader(text)
            root = loader.get_single_node()
        except yaml.MarkedYAMLError as error:
            self._syntax(error)
            return None
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, int(error.position)) + 1
            self._whole(f"the character {chr(int(error.character))!a}", "plain text", line)
            return None
        if root is None or (isinstance(root, yaml.ScalarNode) and _plain(root) is None):
            self._whole("an empty file", "a configuration", suggestion=_START)
            return None
        if not isinstance(root, yaml.MappingNode):
            found = _found(root)
            self._whole(found, "keys such as device: and bins:", 1, _START)
            return None
        self._marks[()] = (root.start_mark, root)
        data: dict[str, Any] = self._data(root, ())
        return data

    def note(self, path: KeyPath, expected: str, suggestion: str = "", found: str = "") -> None:
        """Note a mistake at ``path``, or, where that is missing, at what should hold it."""
        place = path
        while place not in self._marks:
            place = place[:-1]
        mark, node = self._marks[place]
        found = found or (_found(node) if place == path else "nothing")
        line, column = mark.line + 1, mark.column + 1
        self.mistakes.append(Mistake(line, column, spell(path), found, expected, suggestion))

    def line(self, path: KeyPath) -> int:
        """The line of a key that exists."""
        return self._marks[path][0].line + 1

    def value(self, path: KeyPath) -> Any:
        """A scalar's value; None for what is no scalar."""
        node = self._marks[path][1]
        return _plain(node) if isinstance(node, yaml.ScalarNode) else None

    def known(self, path: KeyPath) -> KeyPath:
        """``path`` without the end that the YAML does not have."""
        while path not in self._marks:
            path = path[:-1]
        return path

    def _data(self, node: yaml.Node, path: KeyPath) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return _plain(node)
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self._marks[*path, index] = (item.start_mark, item)
            return [self._data(item, (*path, index)) for index, item in enumerate(node.value)]
        data: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                mark = key.start_mark
                self._whole("a key in brackets", "a name as key", mark.line + 1)
                continue
            # keys are taken as written: a bin may be called no or 1
            inner = (*path, key.value)
            if key.value in data:
                again = f"once: it stands in line {self.line(inner)} already"
                mark = key.start_mark
                self.mistakes.append(
                    Mistake(
                        mark.line + 1, mark.column + 1, spell(inner), "the key twice", f"it {again}"
                    )
                )
                continue
            self._marks[inner] = (key.start_mark, value)
            data[key.value] = self._data(value, inner)
        return data

    def _whole(self, found: str, expected: str, line: int = 0, suggestion: str = "") -> None:
        self.mistakes.append(Mistake(line, int(line > 0), "", found, expected, suggestion))

    def _syntax(self, error: yaml.MarkedYAMLError) -> None:
        mark = error.problem_mark or error.context_mark
        found = " ".join((error.problem or error.context or "a fault").split())
        suggestion = ""
        if "'\\t'" in found:
            suggestion = "indent with spaces, not with tabs"
        elif "mapping values are not allowed" in found:
            suggestion = "indent this line like its neighbours, and quote a text that has a colon"
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        self.mistakes.append(Mistake(line, column, "", found, "valid YAML", suggestion))


_START = "start from config/trashbin.yaml, where every key is explained"
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null"), None),
    **dict.fromkeys(("true", "yes", "on"), True),
    **dict.fromkeys(("false", "no", "off"), False),
}


def _plain(node: yaml.ScalarNode) -> str | bool | int | float | None:
    """A scalar's value. Quoted is text; 017 is seventeen and 12:30 text, unlike in YAML 1.1."""
    text: str = node.value
    if node.style is not None:
        return text
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if re.fullmatch(r"[-+]?[0-9]{1,18}", text):
        return int(text)
    if re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", text):
        return float(text)
    if re.fullmatch(r"[-+]?\.(inf|nan)", text.lower()):
        return float(text.replace(".", ""))
    return text


def _found(node: yaml.Node) -> str:
    """How a value looks in the file, short enough for one line."""
    if isinstance(node, yaml.MappingNode):
        return "a group of keys"
    if isinstance(node, yaml.SequenceNode):
        return "a list" if node.value else "an empty list"
    value = _plain(node)
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        read_as = str(value).lower()
        return read_as if node.value == read_as else f"{node.value} (YAML reads it as {read_as})"
    return _short(value if isinstance(value, str) else node.value, isinstance(value, str))


def _short(text: str, quoted: bool = True) -> str:
    text = text if len(text) <= 48 else text[:45] + "..."
    return repr(text) if quoted else text


def spell(path: KeyPath) -> str:
    """``("triggers", 0, "pin")`` -> ``triggers[0].pin``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if part.isprintable() else repr(part))
    return text if len(text) <= 120 else text[:117] + "..."


# ---------------------------------------------------------------- data -> sections


@dataclass(frozen=True, slots=True)
class _Shape:
    """How a top-level key is built: ``many`` is dict, tuple or None (one section)."""

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
            annotation = get_args(annotation)[many is not tuple]
        else:
            many = None
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        union = get_origin(annotation) in (Union, UnionType)
        classes = get_args(annotation) if union else (annotation,)
        if all(isinstance(cls, type) and issubclass(cls, Section) for cls in classes):
            shapes[name] = _Shape(classes, many, info.is_required())
    return shapes


def kind_of(cls: type[Section]) -> str:
    """The word that chooses this class; empty where there is nothing to choose."""
    info = cls.model_fields.get("kind")
    return str(get_args(info.annotation)[0]) if info else ""


@dataclass
class _Reader:
    """Turns plain data into sections and checks them against each other."""

    document: _Document
    folder: Path
    parts: dict[KeyPath, Section] = field(default_factory=dict)

    def load(self, data: dict[str, Any]) -> Loaded:
        note = self.document.note
        if data.get("version") != 1 or isinstance(data.get("version"), bool):
            note(("version",), "1", "" if "version" in data else "add version: 1")
        missing = {name for name, shape in _shapes().items() if shape.required} - data.keys()
        for name in data.keys() - Config.model_fields.keys():
            missing.discard(self._unknown((name,), Config, ()))
        for name in missing:
            note((name,), "this section", _START)
        for name, shape in _shapes().items():
            if name not in missing and (name in data or not shape.required):
                self._section(name, shape, data.get(name))
        for check in (_check_pins, _check_labels, _check_moves, _check_lamps, _check_company):
            check(self, data)
        mistakes = tuple(sorted(self.document.mistakes, key=lambda m: (m.line, m.column, m.key)))
        wrong = {mistake.key for mistake in mistakes}
        sound = {
            spell(path): part
            for path, part in self.parts.items()
            if not any(key == spell(path) or key.startswith(spell(path) + ".") for key in wrong)
        }
        return Loaded(None if mistakes else self._whole(), mistakes, sound)

    def of(self, cls: type[S]) -> Iterator[tuple[KeyPath, S]]:
        """The sound sections of a class, with their paths."""
        return ((path, part) for path, part in self.parts.items() if isinstance(part, cls))

    def _whole(self) -> Config:
        values: dict[str, Any] = {"version": 1}
        for name, shape in _shapes().items():
            inside = {path[1:]: part for path, part in self.parts.items() if path[0] == name}
            if shape.many is dict:
                values[name] = {path[0]: part for path, part in inside.items()}
            else:
                values[name] = tuple(inside.values()) if shape.many else inside[()]
        return Config(**values)

    def _section(self, name: str, shape: _Shape, data: Any) -> None:
        path = (name,)
        if shape.many is None:
            self._part(path, shape.classes, data)
        elif shape.many is dict and isinstance(data, dict) and data:
            for key, value in data.items():
                self._part((name, key), shape.classes, value)
        elif shape.many is tuple and isinstance(data, list) and data:
            for index, value in enumerate(data):
                self._part((name, index), shape.classes, value)
        elif shape.many is dict:
            self.document.note(path, "bins by their names, at least one")
        else:
            self.document.note(path, "a list, each item beginning with - kind:, at least one")

    def _part(self, path: KeyPath, classes: Sequence[type[Section]], data: Any) -> None:
        note = self.document.note
        data = {} if data is None else data  # a section whose keys are all commented out
        if not isinstance(data, dict):
            note(path, "a group of keys")
            return
        cls = classes[0]
        if len(classes) > 1:
            kinds = {kind_of(cls): cls for cls in classes}
            kind = data.get("kind")
            if not isinstance(kind, str) or kind not in kinds:
                similar = difflib.get_close_matches("kind", data) if "kind" not in data else []
                guess = f"did you mean kind instead of {similar[0]}?" if similar else ""
                guess = guess or _did_you_mean(kind, kinds)
                note((*path, "kind"), _one_of(kinds), guess)
                return
            cls = kinds[kind]
        try:
            self.parts[path] = cls.model_validate_json(
                json.dumps(data), strict=True, context={"folder": self.folder}
            )
        except ValidationError as error:
            self._explain(path, cls, classes, error)

    def _explain(
        self,
        path: KeyPath,
        cls: type[Section],
        classes: Sequence[type[Section]],
        error: ValidationError,
    ) -> None:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        misspelt = set()
        for fault in faults:
            if fault["type"] == "extra_forbidden":
                at = (*path, *fault["loc"])
                guess = self._unknown(at, _class_at(cls, fault["loc"][:-1]), classes)
                misspelt.add((*at[:-1], guess))
        told = set()
        for fault in faults:
            at = (*path, *fault["loc"])
            if fault["type"] == "extra_forbidden" or at in misspelt:
                continue
            if fault["type"] != "missing" or isinstance(at[-1], int):
                at = self.document.known(at)
            if at not in told:
                told.add(at)
                schema = _schema_at(cls, at[len(path) :])
                self.document.note(at, _expected(schema), self._hint(at, schema))

    def _unknown(self, path: KeyPath, cls: type[Section], classes: Sequence[type[Section]]) -> str:
        """Note an unknown key; returns the key that was probably meant, or nothing."""
        key = str(path[-1])
        keys = cls.model_fields
        close = difflib.get_close_matches(key, keys, n=1)
        others = [kind_of(other) for other in classes if key in other.model_fields]
        homes = [
            name
            for name, shape in _shapes().items()
            if len(path) == 1 and any(key in inner.model_fields for inner in shape.classes)
        ]
        if others:
            suggestion = f"only kind: {others[0]} has it"
        elif homes:
            suggestion = f"it belongs under {homes[0]}:"
        elif close:
            suggestion = f"did you mean {close[0]}?"
        else:
            suggestion = ""
        expected = _one_of(keys)
        self.document.note(path, expected, suggestion, found="an unknown key")
        return close[0] if close and not others and not homes else ""

    def _hint(self, path: KeyPath, schema: dict[str, Any]) -> str:
        """What to write instead, where that can be guessed."""
        if path not in self.document:
            return ""
        value = self.document.value(path)
        if "enum" in schema:
            return _did_you_mean(value, [str(choice) for choice in schema["enum"]])
        if isinstance(value, str) and schema.get("type") in ("integer", "number"):
            return f"write {value} without quotes" if _is_number(value) else ""
        if isinstance(value, bool | int | float) and schema.get("type") == "string":
            return "put it in quotes"
        if isinstance(value, str) and schema.get("type") == "array":
            return f"write it as a list: [{_short(value, False)}]"
        return ""


def _class_at(cls: type[Section], keys: Iterable[str | int]) -> type[Section]:
    """The class of a section nested in ``cls``, such as ``tls`` in ``publisher``."""
    for key in keys:
        annotation = cls.model_fields[str(key)].annotation
        cls = next(inner for inner in (get_args(annotation) or (annotation,)) if _is_section(inner))
    return cls


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Section)


@cache
def _schema(cls: type[Section]) -> dict[str, Any]:
    return cls.model_json_schema()


def _schema_at(cls: type[Section], path: KeyPath) -> dict[str, Any]:
    """The JSON schema of a field, its references resolved and null left out."""
    root = _schema(cls)
    schema = root
    for part in path:
        if isinstance(part, str):
            schema = schema.get("properties", {}).get(part, {})
        else:
            fixed = schema.get("prefixItems", [])
            schema = fixed[part] if part < len(fixed) else schema.get("items", {})
        schema = _resolved(schema, root)
    return schema


def _resolved(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    choices = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
    if len(choices) == 1:
        schema = choices[0]
    if "$ref" in schema:
        named: dict[str, Any] = root["$defs"][schema["$ref"].rpartition("/")[2]]
        return named
    return schema


def _expected(schema: dict[str, Any]) -> str:
    """A field's JSON schema in plain English: ``a whole number from 2 to 27``."""
    if "enum" in schema:
        return _one_of(schema["enum"])
    if schema.get("type") == "object":
        return "a group of keys"
    if "description" in schema:
        return str(schema["description"])
    if "anyOf" in schema:
        return " or ".join(_expected(choice) for choice in schema["anyOf"])
    if "prefixItems" in schema:
        items = schema["prefixItems"]
        return f"a list of {len(items)}, each {_expected(items[0])}"
    if schema.get("type") in ("integer", "number"):
        return ("a whole number" if schema["type"] == "integer" else "a number") + _range(schema)
    if schema.get("format") == "path":
        return "the path of a file or folder"
    return {"boolean": "true or false", "array": "a list"}.get(schema.get("type", ""), "text")


def _range(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    bounds = ((" above", above), (" of at least", low), (" below", below), (" up to", high))
    return " and".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)


def _one_of(choices: Iterable[object]) -> str:
    words = [str(choice) for choice in choices]
    return f"one of {', '.join(words)}" if len(words) > 1 else words[0]


def _did_you_mean(value: object, choices: Iterable[str]) -> str:
    close = difflib.get_close_matches(value, list(choices), n=1) if isinstance(value, str) else []
    return f"did you mean {close[0]}?" if close else ""


def _is_number(text: str) -> bool:
    return isinstance(_plain(yaml.ScalarNode("", text)), int | float)


# ---------------------------------------------------------------- sections against each other


def _pins(path: KeyPath, part: Section) -> Iterator[tuple[KeyPath, int]]:
    """Every pin that a section takes, by the mark ``pin`` in the fields' metadata."""
    for name in type(part).model_fields:
        value = getattr(part, name)
        if isinstance(value, int) and _schema_at(type(part), (name,)).get("pin"):
            yield (*path, name), value
        elif isinstance(value, tuple):
            for index, item in enumerate(value):
                if _schema_at(type(part), (name, index)).get("pin"):
                    yield (*path, name, index), item


def _check_pins(reader: _Reader, data: dict[str, Any]) -> None:
    taken: dict[int, KeyPath] = {}
    pins = [pin for path, part in reader.parts.items() for pin in _pins(path, part)]
    for path, pin in sorted(pins, key=lambda found: reader.document.line(found[0])):
        first = taken.setdefault(pin, path)
        if first != path:
            reader.document.note(
                path,
                "a pin of its own",
                f"pin {pin} is {spell(first)} in line {reader.document.line(first)}",
            )


def _check_labels(reader: _Reader, data: dict[str, Any]) -> None:
    """Every label goes into exactly one bin; read from the plain data, so that another
    mistake in a bin does not make its labels look homeless."""
    note = reader.document.note
    known = resources.labels()
    homes: dict[str, KeyPath] = {}
    meant = set()
    bins = data.get("bins")
    if not isinstance(bins, dict) or not bins:
        return
    for name, entry in bins.items():
        labels = entry.get("labels") if isinstance(entry, dict) else None
        for index, label in enumerate(labels if isinstance(labels, list) else ()):
            path = ("bins", name, "labels", index)
            if not isinstance(label, str):
                continue  # told already: not text
            if label not in known:
                meant.update(difflib.get_close_matches(label, known, n=1))
                note(path, _one_of(known), _did_you_mean(label, known))
            elif label in homes:
                first = homes[label]
                note(
                    path,
                    "each label in one bin only",
                    f"it is {spell(first)} in line {reader.document.line(first)} already",
                )
            else:
                homes[label] = path
    homeless = [label for label in known if label not in homes and label not in meant]
    if homeless:
        note(
            ("bins",),
            "a bin for every label of labels.txt",
            f"add {', '.join(homeless)} to the labels of a bin",
            found=f"no bin for {', '.join(homeless)}",
        )


def _check_moves(reader: _Reader, data: dict[str, Any]) -> None:
    """The servo reaches every bin."""
    note = reader.document.note
    for path, servo in reader.of(settings.ServoActuator):
        for low, high in (("min_angle", "max_angle"), ("min_pulse_ms", "max_pulse_ms")):
            if getattr(servo, low) >= getattr(servo, high):
                at = (*path, high if (*path, high) in reader.document else low)
                note(at, f"{low} below {high}", found=_bounds(servo, low, high))
        reach = f"an angle from {servo.min_angle:g} to {servo.max_angle:g}, the servo's range"
        if not servo.min_angle <= servo.rest_angle <= servo.max_angle:
            note((*path, "rest_angle"), reach, found=f"{servo.rest_angle:g}")
        for at, entry in reader.of(settings.Bin):
            if entry.angle is None or not servo.min_angle <= entry.angle <= servo.max_angle:
                note((*at, "angle"), reach)


def _bounds(servo: settings.ServoActuator, low: str, high: str) -> str:
    return f"{getattr(servo, low):g} and {getattr(servo, high):g}"


def _check_lamps(reader: _Reader, data: dict[str, Any]) -> None:
    """With an RGB LED each bin has a color; without, each or none has a lamp."""
    note = reader.document.note
    bins = list(reader.of(settings.Bin))
    for path, lamps in reader.of(settings.LampsActuator):
        some = any(entry.lamp is not None for _, entry in bins)
        for at, entry in bins:
            if lamps.rgb is not None and entry.color is None:
                note((*at, "color"), f"the color that {spell(path)}.rgb shows for this bin")
            elif lamps.rgb is None and some and entry.lamp is None:
                note((*at, "lamp"), "a lamp's pin, as the other bins have")
        if lamps.rgb is None and lamps.uncertain is None and bins and not some:
            note(
                path,
                "rgb:, uncertain: or a lamp: in each bin",
                "remove this actuator if there are no lamps",
                found="no lamp's pin",
            )


def _check_company(reader: _Reader, data: dict[str, Any]) -> None:
    """Keys that are of no use without another."""
    note = reader.document.note
    camera = reader.parts.get(("camera",))
    simulated: tuple[type[Section], ...] = (settings.SimulatedTrigger, settings.SimulatedActuator)
    for path, part in reader.parts.items():
        if isinstance(part, simulated) and not isinstance(camera, settings.SimulatedCamera | None):
            note(
                (*path, "kind"),
                "a part that works without the simulated tray",
                "or set kind: simulated under camera:",
            )
    for path, _ in reader.of(settings.MqttTrigger):
        if isinstance(reader.parts.get(("publisher",)), settings.NoPublisher):
            note((*path, "kind"), "a trigger that works without a broker", "publisher: is none")
    for path, mqtt in reader.of(settings.MqttPublisher):
        _both(note, path, mqtt, "username", "password_file")
        if mqtt.tls:
            _both(note, (*path, "tls"), mqtt.tls, "cert", "key")


def _both(note: Callable[..., None], path: KeyPath, part: Section, one: str, other: str) -> None:
    """Two keys that are set together or not at all."""
    for name, partner in ((one, other), (other, one)):
        if getattr(part, name) is not None and getattr(part, partner) is None:
            note(
                (*path, partner), f"a value, as {name} is set", f"add {partner}: or remove {name}:"
            )
