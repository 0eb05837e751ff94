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


def with_tables(text: str, tables: str, begin: str = BEGIN, end: str = END) -> str:
    """A page with these tables in place of those between its marks; ValueError without marks."""
    before, _, rest = text.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"it needs the lines {begin} and {end}")
    return f"{before}{begin}\n\n{tables.strip()}\n\n{end}{after}"


def rows(table: str) -> list[list[str]]:
    """The cells of each line of a Markdown table below its head."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if set("".join(row)) - set("-")]
