"""Plots: items by class and hour, the share of uncertain ones, and the time to a decision."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from statistics import median
from typing import Any

from nicegui import ui

from trashbin import resources
from trashbin.dashboard import cards, elements
from trashbin.dashboard.frame import THEMES, Sheet

HOURS = (1, 24, 168, 720)
HOUR = timedelta(hours=1)
CROWDED = 48  # dots on a line; more are drawn small
BY_DAY = 168  # hours; of a longer time a phone shows no single one
DAY = len("2026-11-24")  # of an hour's name
REDRAW_S = 5.0
POINTS = 1500
COLOURS = {
    "cardboard": "#a8713a",
    "glass": "#2a9d8f",
    "metal": "#7c8bab",
    "paper": "#4a7fd0",
    "plastic": "#d1508a",
    "trash": "#8a857f",
    "uncertain": "#e0a020",
}
INK = {False: "#3d4841", True: "#c3cfc7"}
LINES = {False: "#d9e0d8", True: "#36423a"}
# of JavaScript: ECharts writes 1,000 in every language, which is 1 in Indonesian
NUMBER = "(value) => value.toLocaleString(document.documentElement.lang)"

Counted = dict[str, Counter[str]]  # hour or day -> label or "uncertain" -> items


async def draw(sheet: Sheet) -> None:
    """The plots, drawn anew every few seconds while something happens."""
    words = sheet.words
    hours = _hours(sheet.query.get("hours", ""))
    periods = [(str(number), words(f"hours_{number}")) for number in HOURS]
    with ui.element("div").classes("main"):
        elements.html(
            f'<form class="tools" action="/figures" method="get">{sheet.bin_field}'
            f'<label class="field">{escape(words("last"))} <select name="hours" data-go>'
            f"{cards.options(periods, str(hours))}</select></label></form>"
        )
        nothing = elements.text(words("nothing_yet"))
        nothing.set_visibility(False)  # until that is known
        first = "by_class" if hours <= BY_DAY else "by_class_and_day"
        plots = [_Plot(words(key), words("as_table")) for key in (first, "by_share", "by_latency")]
        newest = plots[-1].note(words("newest_only", POINTS))
    if not await sheet.wanted():
        return
    dark = THEMES[sheet.theme]
    if dark is None:
        asked = "matchMedia('(prefers-color-scheme: dark)').matches"
        try:
            dark = bool(await ui.run_javascript(asked, timeout=5.0))
        except TimeoutError:  # gone already, or very slow
            dark = False

    archive = sheet.watch.archive

    async def redraw() -> None:
        now = datetime.now(UTC)
        since = now - hours * HOUR
        size = DAY if hours > BY_DAY else None
        counted: Counted = {hour[:size]: Counter() for hour in hours_between(since, now)}
        found = await asyncio.to_thread(archive.by_hour, since, sheet.device)
        points = await asyncio.to_thread(archive.latencies, since, sheet.device, POINTS)
        if not await sheet.wanted():
            return
        for hour, label, count in found:
            counted.setdefault(hour[:size], Counter())[label] += count
        nothing.set_visibility(not any(counted.values()))
        newest.set_visibility(len(points) == POINTS)
        for plot, made in zip(
            plots,
            (by_class(counted, sheet), by_share(counted, sheet), by_latency(points, sheet)),
            strict=True,
        ):
            plot.show(*made, dark=bool(dark))

    sheet.on_change(redraw, REDRAW_S)
    await redraw()


def _hours(text: str) -> int:
    return int(text) if text in {str(number) for number in HOURS} else 24


class _Plot:
    """A plot for the eye, and the same as a table for everyone else."""

    def __init__(self, title: str, as_table: str) -> None:
        self._title = title
        self._section = ui.element("section").classes("card stack")
        with self._section:
            elements.text(title, "h2")
            self._chart = ui.echart({}, renderer="svg").classes("plot")
            self._chart.props["role"] = "img"
            self._chart.props["aria-label"] = title
            with ui.element("details"):  # stays open where the numbers in it are new
                elements.text(as_table, "summary")
                self._table = elements.html()
                self._table.classes("scroll").props('tabindex="0"')

    def note(self, text: str) -> ui.html:
        """Words below it, which are not shown yet."""
        with self._section:
            made = elements.text(text).classes("soft")
        made.set_visibility(False)
        return made

    def show(self, options: dict[str, Any], table: str, *, dark: bool) -> None:
        if self._table.content == table:
            return
        ink, lines = INK[dark], LINES[dark]
        axis = {
            "axisLabel": {"color": ink},
            "nameTextStyle": {"color": ink},
            "axisLine": {"lineStyle": {"color": lines}},
            "splitLine": {"lineStyle": {"color": lines}},
        }
        self._chart.options.clear()
        self._chart.options.update(
            options
            | {
                "animation": False,
                "textStyle": {"fontFamily": "system-ui, sans-serif"},
                "legend": {"textStyle": {"color": ink}, "bottom": 0, "type": "scroll"},
                "grid": {"left": 55, "right": 20, "top": 30, "bottom": 60},
                "tooltip": {"trigger": "axis"},
                # patterns besides colours; its own label would be English, and replace ours
                "aria": {"enabled": True, "label": {"enabled": False}, "decal": {"show": True}},
                "xAxis": _merged(options["xAxis"], axis),
                "yAxis": _merged(
                    options["yAxis"], axis | {"axisLabel": {"color": ink, ":formatter": NUMBER}}
                ),
            }
        )
        self._chart.update()
        self._table.set_content(table)


def by_class(counted: Counted, sheet: Sheet) -> tuple[dict[str, Any], str]:
    """Bars stacked by class, an hour or a day each."""
    words, hours = sheet.words, list(counted)
    known = [*resources.labels(), "uncertain"]
    labels = [
        name
        for name in [*known, *sorted({label for c in counted.values() for label in c} - {*known})]
        if any(name in counts for counts in counted.values())
    ]
    series = [
        {
            "name": words.known(label),
            "type": "bar",
            "stack": "all",
            "barMaxWidth": 48,
            "data": [counted[hour][label] for hour in hours],
            "itemStyle": {"color": COLOURS.get(label)} if label in COLOURS else {},
        }
        for label in labels
    ]
    rows = [
        [_o_clock(hour), *(str(counted[hour][label]) for label in labels)]
        for hour in hours
        if counted[hour]
    ]
    options = {
        "xAxis": {"type": "category", "data": [_o_clock(hour[5:]) for hour in hours]},
        "yAxis": {"type": "value", "minInterval": 1, "name": words("items")},
        "series": series,
    }
    return options, table([_head(counted, sheet), *(words.known(label) for label in labels)], rows)


def by_share(counted: Counted, sheet: Sheet) -> tuple[dict[str, Any], str]:
    """A line: which part of each hour's or day's items was uncertain."""
    words, hours = sheet.words, list(counted)
    shares = [
        counted[hour]["uncertain"] / counted[hour].total() if counted[hour] else None
        for hour in hours
    ]
    options = {
        "xAxis": {"type": "category", "data": [_o_clock(hour[5:]) for hour in hours]},
        "yAxis": {"type": "value", "min": 0, "max": 100, "name": "%"},
        "series": [
            {
                "name": words("by_share"),
                "type": "line",
                "data": [None if share is None else round(100 * share, 1) for share in shares],
                "symbolSize": 9 if len(hours) <= CROWDED else 3,
                "showAllSymbol": True,  # else a lone hour without an axis label has none
                "lineStyle": {"width": 3},
                "color": COLOURS["uncertain"],
                "areaStyle": {"opacity": 0.15},
            }
        ],
    }
    rows = [
        [_o_clock(hour), words.percent(share)]
        for hour, share in zip(hours, shares, strict=True)
        if share is not None
    ]
    return options, table([_head(counted, sheet), words("by_share")], rows)


def by_latency(
    points: Sequence[tuple[str, float, float | None]], sheet: Sheet
) -> tuple[dict[str, Any], str]:
    """Two clouds of dots over time, on a logarithmic scale."""
    words = sheet.words
    names = (words("total_ms"), words("think_ms"))
    clouds = [
        [(_local(ts), round(total, 2)) for ts, total, _ in points],
        [(_local(ts), round(think, 2)) for ts, _, think in points if think],
    ]
    options = {
        "xAxis": {"type": "time", "axisLabel": {"hideOverlap": True}},
        "yAxis": {"type": "log", "name": "ms"},
        "series": [
            {
                "name": name,
                "type": "scatter",
                "symbol": symbol,
                "symbolSize": 6,
                "data": cloud,
                "color": colour,
            }
            for name, symbol, cloud, colour in zip(
                names, ("circle", "triangle"), clouds, ("#4a7fd0", "#2a9d8f"), strict=True
            )
        ],
    }
    rows = [
        [name, words.number(median([value for _, value in cloud]), 1)]
        for name, cloud in zip(names, clouds, strict=True)
        if cloud
    ]
    return options, table(["", words("median")], rows)


def table(heads: list[str], rows: list[list[str]]) -> str:
    """A plot's numbers."""
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Both, and of what both have, both."""
    return {
        key: {**one.get(key, {}), **other[key]} if key in other else one[key]
        for key in (one | other)
    }


def _local(ts: str) -> str:
    """In this machine's zone, as everything else: a browser takes it for its own."""
    return datetime.fromisoformat(ts).astimezone().replace(tzinfo=None).isoformat()


def hours_between(since: datetime, now: datetime) -> list[str]:
    """Every hour, in this machine's zone, also those in which nothing fell.

    The one that comes twice as summer time ends stands once, the one that it skips not at all.
    """
    moments = [since + past * HOUR for past in range((now - since) // HOUR + 1)]
    return list(dict.fromkeys(f"{moment.astimezone():%Y-%m-%d %H}" for moment in (*moments, now)))


def _o_clock(hour: str) -> str:
    """``2026-11-24 19``, or what of it an axis has room for, as people write it; a day stays."""
    return f"{hour}:00" if " " in hour else hour


def _head(counted: Counted, sheet: Sheet) -> str:
    """What the first column of their table holds."""
    return sheet.words("hour" if " " in next(iter(counted)) else "day")
