"""Pure: values into a commented YAML, with every comment kept.

Works on the layout of config/trashbin.yaml: sections begin at the left edge; a part of a
section begins with ``  kind: NAME`` or ``  - kind: NAME``, and is left out by a ``# `` in its
third column. Choosing another kind takes that away there and puts it before the others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

KIND = re.compile(r"^  (# )?(- )?kind: (\w+)")
NAME = re.compile(r"^  ([^\s#-].*):\s*(#.*)?$")  # of a part that has no kind, such as a bin
# a number sign begins a comment only after a space, and none within quotes
VALUE = r""""(?:[^"\\]|\\.)*"\s*|'(?:[^']|'')*'\s*|(?:(?<!\s)#|[^#])*"""
TAIL = re.compile(r"^\s{16,}#")  # a comment that goes on from the line above


class Template:
    """The lines of a configuration, which ``choose`` and ``put`` change in place."""

    def __init__(self, text: str) -> None:
        self.lines = text.splitlines()

    @property
    def text(self) -> str:
        """The file as it stands now."""
        return "\n".join(self.lines) + "\n"

    def choose(self, section: str, kinds: Sequence[str]) -> None:
        """Let these kinds of a section stand, and comment the others out. KeyError: no such."""
        found = set()
        for start, end in self._blocks(section):
            match = KIND.match(self.lines[start])
            assert match is not None
            wanted, stands = match[3] in kinds, match[1] is None
            found.add(match[3])
            if wanted != stands:
                for number in range(start, end):
                    line = self.lines[number]
                    if line.strip() and not TAIL.match(line):
                        self.lines[number] = _shown(line) if wanted else _hidden(line)
        if missing := set(kinds) - found:
            raise KeyError(f"{section}: {', '.join(sorted(missing))}")

    def put(self, section: str, key: str, value: Any, part: str | None = None) -> None:
        """Set a key, of the part of that kind or name where the section has parts.

        None leaves it out. KeyError where the layout has no such key, or its value on several
        lines.
        """
        start, end = self._span(section)
        if part is not None:
            spans = [(a, b) for a, b in self._blocks(section) if self._kind(a) == part]
            spans += [(a, b) for name, a, b in self.named(section) if name == part]
            if not spans:
                raise KeyError(f"{section}: {part}")
            start, end = spans[0]
        pattern = re.compile(rf"^(  (?:- |  )?)(# )?({re.escape(key)}:)(\s*)({VALUE})(#.*)?$")
        for number in range(start, end):
            match = pattern.match(self.lines[number])
            if match is not None and not self._goes_on(number, len(match[1])):
                self.lines[number] = _line(match, value)
                return
        text = "\n".join(self.lines[start:end])
        if value is not None or re.search(rf"\b{re.escape(key)}\b", text):
            raise KeyError(f"{section}: {key}")

    def _goes_on(self, number: int, column: int) -> bool:
        """Whether the value of the key in that column has a part on the next line."""
        after = next(iter(self.lines[number + 1 : number + 2]), "")
        text = after.lstrip()
        return text != "" and text[0] != "#" and len(after) - len(text) > column

    def replace(self, section: str, body: Sequence[str]) -> None:
        """Write a section's lines anew, below its name. KeyError where they are beside it."""
        start, end = self._span(section)
        if not re.fullmatch(rf"{section}:\s*(#.*)?", self.lines[start]):
            raise KeyError(section)
        self.lines[start + 1 : end] = [*body, ""] if end < len(self.lines) else body

    def named(self, section: str) -> list[tuple[str, int, int]]:
        """The parts that have a name: the name, their first line, and the one after their last."""
        start, end = self._span(section)
        found = [(match[1], n) for n in range(start, end) if (match := NAME.match(self.lines[n]))]
        spans = pairwise([*(n for _, n in found), end])
        return [(name.strip("\"'"), *span) for (name, _), span in zip(found, spans, strict=True)]

    def _span(self, section: str) -> tuple[int, int]:
        """First line of a section and the one after its last, without the next one's heading."""
        start = next((n for n, line in enumerate(self.lines) if line.startswith(f"{section}:")), -1)
        if start < 0:
            raise KeyError(section)
        end = after = start + 1
        while after < len(self.lines) and self.lines[after][:1] in ("", " ", "#"):
            after += 1
            if self.lines[after - 1][:1] == " ":
                end = after  # a comment at the left edge may stand between two of its lines
        while end < len(self.lines) and not self.lines[end]:
            end += 1
        return start, end

    def _blocks(self, section: str) -> list[tuple[int, int]]:
        start, end = self._span(section)
        starts = [n for n in range(start, end) if KIND.match(self.lines[n])]
        return [*pairwise([*starts, end])]

    def _kind(self, number: int) -> str:
        match = KIND.match(self.lines[number])
        return "" if match is None else match[3]


def scalar(value: Any) -> str:
    """A value as YAML on one line: text in quotes only where it needs them."""
    if isinstance(value, str):
        plain = re.fullmatch(r"[A-Za-z][\w ./:-]*", value) and not value.endswith((":", " "))
        words = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
        return value if plain and value.lower() not in words and ": " not in value else _json(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(scalar, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_json(entry)}' for key, entry in value.items())}}}"
    return _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _line(match: re.Match[str], value: Any) -> str:
    indent, _, key, gap, old, comment = match.groups()
    if value is None:
        return f"{indent}# {key}{gap}{old}{comment or ''}".rstrip()
    line = f"{indent}{key} {scalar(value)}"
    if comment is None:
        return line
    width = len(match[0]) - len(comment)
    return f"{line:<{width}}".rstrip().ljust(max(width, len(line) + 1)) + comment


def _shown(line: str) -> str:
    return line[:2] + line[4:] if line[2:4] == "# " else line


def _hidden(line: str) -> str:
    return f"{line[:2]}# {line[2:]}"
