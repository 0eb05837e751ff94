"""What the doctor finds: one line a check, for people at 80 columns or for programs."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum

import click

from trashbin.errors import ExitCode


class Level(StrEnum):
    """How a check came out."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


COLORS = {Level.GOOD: "green", Level.WARNING: "yellow", Level.BAD: "red"}
LEVEL_WIDTH, CHECK_WIDTH = 9, 18


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was found, what that means, and what to do (empty where nothing is).

    ``exit_code`` is what a bad one makes of the command's exit status.
    """

    check: str
    level: Level
    found: str
    means: str
    do: str = ""
    exit_code: ExitCode = ExitCode.BAD_INPUT


def good(check: str, found: str, means: str) -> Finding:
    """Nothing to do."""
    return Finding(check, Level.GOOD, found, means)


def warning(check: str, found: str, means: str, do: str) -> Finding:
    """The bin works, but not as well or as surely as it could."""
    return Finding(check, Level.WARNING, found, means, do)


def bad(
    check: str, found: str, means: str, do: str, exit_code: ExitCode = ExitCode.BAD_INPUT
) -> Finding:
    """The bin does not do its work before this is mended."""
    return Finding(check, Level.BAD, found, means, do, exit_code)


def unreachable(check: str, found: str, means: str, do: str) -> Finding:
    """Bad: a device or the broker does not answer."""
    return bad(check, found, means, do, ExitCode.UNREACHABLE)


def stopped(found: str) -> Finding:
    """The stop switch is closed: somebody's hand, and no part that fails."""
    return warning(
        "stop switch",
        found,
        "While it is closed nothing moves.",
        "Close the lid or release the switch. If both are, it is wired the other way"
        " round: it must close to ground when it shall stop.",
    )


@dataclass
class Report:
    """All findings, in the order in which they were made; ``tell`` hears each at once."""

    tell: Callable[[Finding], None] = lambda finding: None
    findings: list[Finding] = field(default_factory=list)

    def add(self, *findings: Finding) -> None:
        """Take findings down."""
        for finding in findings:
            self.findings.append(finding)
            self.tell(finding)

    def count(self, level: Level) -> int:
        """How many came out so."""
        return sum(finding.level is level for finding in self.findings)

    @property
    def exit_code(self) -> ExitCode:
        """Good without a bad line; else a wrong configuration before what does not answer."""
        codes = {finding.exit_code for finding in self.findings if finding.level is Level.BAD}
        for code in (ExitCode.BAD_USAGE, ExitCode.UNREACHABLE, ExitCode.BAD_INPUT):
            if code in codes:
                return code
        return ExitCode.GOOD

    def as_json(self, **more: object) -> str:
        """One object: the counts, and ``checks``, a list of all findings."""
        checks = [
            {key: value for key, value in asdict(finding).items() if key != "exit_code"}
            for finding in self.findings
        ]
        counts = {level.value: self.count(level) for level in Level}
        return json.dumps({**more, **counts, "checks": checks}, indent=2, ensure_ascii=False)

    def summary(self) -> str:
        """The last line."""
        parts = [f"{self.count(level)} {level}" for level in Level if self.count(level)]
        return ", ".join(parts)


def show(finding: Finding) -> None:
    """Print a finding: one line where it is good; else with what it means and what to do."""
    width = max(40, min(100, shutil.get_terminal_size((80, 24)).columns))
    indent = " " * (LEVEL_WIDTH + CHECK_WIDTH)
    head = click.style(f"{finding.level:<{LEVEL_WIDTH}}", fg=COLORS[finding.level], bold=True)
    paragraphs = [finding.found]
    if finding.level is not Level.GOOD:
        paragraphs += [finding.means, f"→ {finding.do}"]
    lines = [line for text in paragraphs for line in _wrapped(text, width - len(indent))]
    click.echo(f"{head}{finding.check:<{CHECK_WIDTH}}{lines[0]}")
    for line in lines[1:]:
        click.echo(f"{indent}{line}")


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of at most ``width``; a path or topic that is longer stays whole."""
    lines = (
        textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False)
        for line in text.splitlines()
    )
    return [part for line in lines for part in line] or [""]
