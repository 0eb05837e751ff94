"""The tables of a run of ``make faults`` in README, between two marks."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]

BEGIN = "<!-- written by: make faults ARGS=--readme -->"
END = "<!-- end of what make faults wrote -->"


def readme() -> Path:
    return ROOT / "README.md"


def written(text: str) -> str:
    """What stands between the marks of a README."""
    return text.partition(BEGIN)[2].partition(END)[0]


def with_tables(text: str, tables: str) -> str:
    """A README with these tables in place of those it has; ValueError where it lacks the marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"README.md needs the lines {BEGIN} and {END}")
    return f"{before}{begin}\n\n{tables.strip()}\n\n{end}{after}"


def rows(table: str) -> list[list[str]]:
    """The cells of each line of a Markdown table below its head."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if set("".join(row)) - set("-")]
