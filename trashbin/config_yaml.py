"""YAML text -> plain data that remembers, for each key, where it stands and how it is written."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

MAX_BYTES = 64 * 1024  # ten times a real file; this much of the worst YAML takes half a second
MAX_DEPTH = 12  # the deepest key of a configuration lies five levels down
START = "start from config/trashbin.yaml, where every key is explained"

KeyPath: TypeAlias = tuple[str | int, ...]
Scalar: TypeAlias = str | bool | int | float | None

BRACKETS = {"while parsing a flow sequence": "[]", "while parsing a flow mapping": "{}"}

# what PyYAML says of the mistakes that people make: what is found there, expected, and to be done
SAYINGS = (
    (r"could not find expected ':'", "no colon with a space after it", "key: value", ""),
    (
        r"expected <block end>, but found '<block \w+ start>'",
        "a line indented otherwise than those above",
        "the same indentation for all keys of a group",
        "an entry of a list begins with a dash and a space",
    ),
    (
        r"expected <block end>, but found '<scalar>'",
        "more text after the end of a value",
        "quotes around all of it",
        "within single quotes, a single quote is written twice",
    ),
    (
        r"expected <block end>, but found '\?'",
        "a key among the entries of a list",
        "its indentation to be that of the other keys of its entry",
        "",
    ),
    (r"expected .+, but found '([^<\w])'", "{0} where none may be", "a key or a value", ""),
    (r"found character '\\t' that .+", "a tab", "spaces", ""),
    (r"found character '(.)' that .+", "a text that begins with {0}", "quotes around it", ""),
    (
        r"found unknown escape character '(.)'",
        "\\{0} within quotes",
        "\\\\{0}, or single quotes",
        "",
    ),
    (
        "mapping values are not allowed here",
        "a colon where none may be",
        "quotes around a text that has a colon, or the indentation of the lines above",
        "",
    ),
    (
        r"expected (chomping .+|a comment or a line break), but found .+",
        "a text that begins with | or >",
        "quotes around it",
        "",
    ),
    (
        "expected '<document start>', but found .+",
        "text above this line that is no key",
        "keys such as device: and bins: alone",
        "",
    ),
    (
        r"(an anchor or alias|a tag) \((.+)\)",
        "{0} ({1})",
        "quotes around a text that begins so",
        "",
    ),
)
_EXPECTED = re.compile(r"expected (.+?),? but (?:found|got) (.+)")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null"), None),
    **dict.fromkeys(("true", "yes", "on"), True),
    **dict.fromkeys(("false", "no", "off"), False),
}


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
        """One line, and a second one where there is a suggestion."""
        where = f"line {self.line}: " if self.line else ""
        key = f"{self.key}: " if self.key else ""
        text = f"{where}{key}found {self.found}, expected {self.expected}"
        return f"{text}\n    {self.suggestion}" if self.suggestion else text


def spell(path: KeyPath) -> str:
    """``("triggers", 0, "pin")`` -> ``triggers[0].pin``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if part.isprintable() else repr(part))
    return text if len(text) <= 120 else text[:117] + "..."


def scalar(text: str) -> Scalar:
    """The value of a word without quotes.

    Unlike in YAML 1.1, 017 and 12:30 and 2026-01-31 are text: no key means octal or base
    sixty, and an id may look like a date.
    """
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if re.fullmatch(r"[-+]?(0|[1-9][0-9]{0,17})", text):
        return int(text)
    if re.fullmatch(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+][0-9]+)?", text):
        return float(text)
    if re.fullmatch(r"[-+]?\.(inf|nan)", text.lower()):
        return float(text.replace(".", ""))
    return text


def short(text: str) -> str:
    """Enough of a text to recognize it."""
    return text if len(text) <= 48 else text[:45] + "..."


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML file as plain data; notes the mistakes in it."""

    mistakes: list[Mistake] = field(default_factory=list)
    _marks: dict[KeyPath, tuple[yaml.Mark, yaml.Node]] = field(default_factory=dict)

    def __contains__(self, path: KeyPath) -> bool:
        """Whether the YAML has this key."""
        return path in self._marks

    def parse(self, content: bytes) -> dict[str, Any] | None:
        """The top mapping, or None after noting why there is none."""
        if len(content) > MAX_BYTES:
            self._whole(f"more than {MAX_BYTES // 1024} KB", "a configuration of a few pages")
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
            self._syntax(error, loader)
            return None
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, int(error.position)) + 1
            self._whole(f"the character {chr(int(error.character))!a}", "plain text", line)
            return None
        if root is None or (isinstance(root, yaml.ScalarNode) and _value(root) is None):
            self._whole("an empty file", "a configuration", suggestion=START)
            return None
        if not isinstance(root, yaml.MappingNode):
            self._whole(_found(root), "keys such as device: and bins:", 1, START)
            return None
        self._marks[()] = (root.start_mark, root)
        data: dict[str, Any] = self._data(root, ())
        return data

    def note(self, path: KeyPath, expected: str, suggestion: str = "", found: str = "") -> None:
        """Note a mistake at ``path`` or, where that is missing, at what should hold it."""
        place = self.known(path)
        mark, node = self._marks[place]
        found = found or (_found(node) if place == path else "nothing")
        self._add(mark, path, found, expected, suggestion)

    def line(self, path: KeyPath) -> int:
        """The line of a key that exists, from 1."""
        return self._marks[path][0].line + 1

    def value(self, path: KeyPath) -> Scalar:
        """The value of a key that exists; None for what is no scalar."""
        node = self._marks[path][1]
        return _value(node) if isinstance(node, yaml.ScalarNode) else None

    def known(self, path: KeyPath) -> KeyPath:
        """``path`` without the end that the YAML does not have."""
        while path not in self._marks:
            path = path[:-1]
        return path

    def _data(self, node: yaml.Node, path: KeyPath) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return _value(node)
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self._marks[*path, index] = (item.start_mark, item)
            return [self._data(item, (*path, index)) for index, item in enumerate(node.value)]
        data: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._add(key.start_mark, path, "a key in brackets", "a name as key")
                continue
            name = key.value  # keys are taken as written: a bin may be called no, or 1
            inner = (*path, name)
            if name in data:
                expected = f"it once; line {self.line(inner)} has it already"
                self._add(key.start_mark, inner, "the key again", expected)
                continue
            self._marks[inner] = (key.start_mark, value)
            data[name] = self._data(value, inner)
        return data

    def _add(
        self, mark: yaml.Mark, path: KeyPath, found: str, expected: str, suggestion: str = ""
    ) -> None:
        self.mistakes.append(
            Mistake(mark.line + 1, mark.column + 1, spell(path), found, expected, suggestion)
        )

    def _whole(self, found: str, expected: str, line: int = 0, suggestion: str = "") -> None:
        self.mistakes.append(Mistake(line, int(line > 0), "", found, expected, suggestion))

    def _syntax(self, error: yaml.MarkedYAMLError, loader: _Loader) -> None:
        if (quote := loader.open_quote(error)) is not None:
            found, expected = "a quote without its end", "the same quote after the text"
            self.mistakes.append(Mistake(quote.line + 1, quote.column + 1, "", found, expected))
            return
        mark = error.problem_mark or error.context_mark
        begun, pair = error.context_mark, BRACKETS.get(error.context or "")
        if pair and begun and mark and begun.line < mark.line:  # YAML blames the next key
            found = f"{pair[0]} without its end"
            expected = f"{pair[1]} after its last entry, or a comma before line {mark.line + 1}"
            self.mistakes.append(Mistake(begun.line + 1, begun.column + 1, "", found, expected))
            return
        if error.context == "while scanning a simple key":
            mark = begun  # a line, or a page of comments, before the one that YAML names
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        told = _in_words(" ".join((error.problem or error.context or "a fault").split()))
        self.mistakes.append(Mistake(line, column, "", *told))


class _Loader(yaml.SafeLoader):
    """Composes nodes, and refuses what no configuration needs and a bomb is made of."""

    depth = 0
    scalar: Any = None  # the last one that was read

    def open_quote(self, error: yaml.MarkedYAMLError) -> Any:
        """The mark of a quote that was left open; None where ``error`` is another.

        It ends at the next quote, often in a comment far below, and YAML finds fault there.
        """
        if error.problem == "found unexpected end of stream":
            return error.context_mark
        last = self.scalar
        quoted = last is not None and last.style in ("'", '"')
        return last.start_mark if quoted and last.start_mark.line < last.end_mark.line else None

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        problem = ""
        if isinstance(event, yaml.ScalarEvent):
            self.scalar = event
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


def _in_words(problem: str) -> tuple[str, str, str]:
    """What is found, expected and to be done, of a sentence of PyYAML's."""
    for said, found, expected, suggestion in SAYINGS:
        if (match := re.fullmatch(said, problem)) is not None:
            return found.format(*match.groups()), expected.format(*match.groups()), suggestion
    if (both := _EXPECTED.fullmatch(problem)) is not None:
        return re.sub("^found ", "", both[2]), both[1], ""
    return re.sub("^(but )?found ", "", problem), "valid YAML", ""


def _value(node: yaml.ScalarNode) -> Scalar:
    text: str = node.value
    return scalar(text) if node.style is None else text  # what is quoted is text


def _found(node: yaml.Node) -> str:
    """How a value looks in the file, short enough for one line."""
    if isinstance(node, yaml.MappingNode):
        return "a group of keys"
    if not isinstance(node, yaml.ScalarNode):
        return "a list" if node.value else "an empty list"
    value = _value(node)
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return repr(short(value))
    if isinstance(value, bool) and node.value not in ("true", "false"):
        return f"{node.value} (YAML reads it as {str(value).lower()})"
    return short(node.value)
