"""Pure: events and bins -> pieces of HTML. Whatever a bin sent is escaped here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from urllib.parse import quote

from trashbin.dashboard import glyphs, wire
from trashbin.dashboard.bins import Bin
from trashbin.dashboard.words import Words
from trashbin.decision import digits
from trashbin.events import Event, EventType

SHOWN = 8  # bars on a card; a network of ours has six labels


def article(event: Event, bin_name: str, answer: Event | None, words: Words) -> str:
    """An item as a card: picture, what was decided, shares as bars, gap against its threshold."""
    label = words.known(event.label) if event.label else words("no_class")
    return (
        f'<div class="photo">{_photo(event, words)}</div>'
        '<div class="facts">'
        f'<div class="top"><h3>{glyphs.of(event.label)}{escape(label[:1].upper() + label[1:])}</h3>'
        f"{_chip(event, words)}</div>"
        f'<p class="meta">{escape(bin_name)} · {_time(event)}{_took(event, words)}'
        f"{' · ' + escape(words('late')) if event.historical else ''}</p>"
        f"{bars(event.scores, event.label, words)}{gates(event, words)}"
        f"{_answered(event, answer, words)}"
        "</div>"
    )


def said(event: Event, bin_name: str, words: Words) -> str:
    """A card in one sentence, for who listens instead of looking."""
    label = words.known(event.label) if event.label else words("no_class")
    return f"{bin_name}: {label}, {_done(event, words)}"


def line(event: Event, bin_name: str, words: Words) -> str:
    """An event that is no item, in one line."""
    kind = str(event.event_type)
    text = _told(event.detail.message) if event.detail else ""
    if event.event_type is EventType.RESOLVED and event.answer is not None:
        text = escape(_answer(event, words))
    mark = {"fault": "✕", "notice": "i", "resolved": "✓"}.get(kind, "·")
    return (
        f'<span class="mark" aria-hidden="true">{mark}</span> '
        f"<strong>{escape(words.known(kind))}</strong> "
        f'<span class="meta">{escape(bin_name)} · {_time(event)}</span> {text}'
    )


def trouble(part: str, message: str, words: Words) -> str:
    """What a bin says of one of its parts."""
    return f"{escape(words.part(part))}: {_told(message)}"


def _told(message: str) -> str:
    """A bin speaks English on every page: who listens is told so, and hears it well."""
    return f'<span lang="en">{escape(message)}</span>'


def bars(
    scores: Mapping[str, float], best: str | None, words: Words, *, exact: bool = False
) -> str:
    """Shares as a list of bars with their numbers, largest first; a stranger reads it as a list."""
    ranked = sorted(scores, key=lambda label: (-scores[label], label))[: None if exact else SHOWN]
    rows = []
    for label in ranked:
        share = min(max(scores[label], 0.0), 1.0)
        name = words.both(label) if exact else words.known(label)
        rows.append(
            f'<li class="{"best" if label == best else ""}">'
            f'<span class="name">{escape(name)}</span>'
            f'<span class="track" aria-hidden="true"><span class="fill {escape(label)}" '
            f'style="width:{share:.1%}"></span></span>'
            f'<span class="num" data-label="{escape(label)}" data-share="{scores[label]!r}">'
            f"{words.percent(share)}</span></li>"
        )
    return f'<ul class="bars" aria-label="{escape(words("shares"))}">{"".join(rows)}</ul>'


def gates(event: Event, words: Words) -> str:
    """Gap, largest share and familiarity against what each needs."""
    limits = event.thresholds
    if limits is None:
        return ""
    rows = [gate(words("gap"), event.gap, limits.gap, words)]
    if event.top1 is not None and event.top1 < limits.top1:
        rows.append(gate(words("top1"), event.top1, limits.top1, words))
    if event.familiarity is not None and limits.familiarity:
        rows.append(gate(words("familiarity"), event.familiarity, limits.familiarity, words))
    return f'<ul class="bars gates">{"".join(rows)}</ul>'


def gate(name: str, value: float | None, needed: float, words: Words) -> str:
    """A value on a bar, with a mark at what it needs, and whether it is enough in words."""
    if value is None:
        return ""
    enough = value >= needed
    verdict = words("enough") if enough else words("too_little")
    places = digits(100 * value, 100 * needed, 1)
    whole = places == 1 and round(needed, 2) == needed
    limit = words.percent(needed, 0 if whole else places)
    return (
        f'<li class="gate"><span class="name">{escape(name)}</span>'
        f'<span class="track" aria-hidden="true"><span class="fill {"yes" if enough else "no"}" '
        f'style="width:{min(max(value, 0.0), 1.0):.1%}"></span>'
        f'<span class="needle" style="left:{min(max(needed, 0.0), 1.0):.1%}"></span></span>'
        f'<span class="num">{words.percent(value, places)}</span>'
        f'<span class="verdict">{escape(words("needs", limit))}: '
        f"{'✓' if enough else '✕'} {escape(verdict)}</span></li>"
    )


def tile(bin: Bin, words: Words, now: datetime) -> str:
    """A bin's state and health."""
    status = bin.status
    rows: list[tuple[str, str]] = []
    if bin.site:
        rows.append((words("site"), bin.site))
    if bin.mode:
        rows.append((words("mode"), words.known(bin.mode)))
    if bin.levels:
        levels = (
            f"{name}\u00a0{words.percent(level, 0)}" for name, (level, _) in bin.levels.items()
        )
        rows.append((words("level"), ", ".join(levels)))
    rows += _health(bin, words)
    counts = {
        label: count for label, count in bin.counts.items() if isinstance(count, int) and count
    }
    said, measured = (_moment(wire.text(told, "ts")) for told in (bin.state, bin.health))
    today = now.astimezone().date()
    heard = max(filter(None, (said, measured)), default=None)
    of_today = heard is None or heard.date() == today
    if heard is not None and not (of_today and bin.online):
        rows.append((words("last_heard"), f"{heard:%Y-%m-%d %H:%M}"))
    if counts and of_today and (said is None or said.date() == today):  # else none was sorted today
        rows.append(
            (
                words("today"),
                ", ".join(f"{n}\u00a0{words.known(name)}" for name, n in counts.items()),
            )
        )
    listed = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in rows)
    problems = "".join(
        f"<li>✕ {trouble(part, message, words)}</li>" for part, message in bin.problems.items()
    )
    if bin.full:
        problems += f"<li>✕ {escape(words('is_full', ', '.join(bin.full)))}</li>"
    return (
        f'<div class="top"><h3><a href="/bins?bin={quote(bin.id, safe="")}">{escape(bin.name)}</a>'
        f"</h3>{badge(status, words)}</div>"
        f"<dl>{listed}</dl>" + (f'<ul class="problems">{problems}</ul>' if problems else "")
    )


def badge(status: str, words: Words) -> str:
    """A bin's status: a sign, a word, and a colour."""
    sign = {"offline": "○", "fault": "✕", "holding": "?", "paused": "‖"}.get(status, "●")
    return (
        f'<span class="badge {escape(status)}"><span aria-hidden="true">{sign}</span> '
        f"{escape(words.known(status))}</span>"
    )


def compartments(bin: Bin, words: Words) -> str:
    """Which label goes where."""
    rows = []
    for name, labels in bin.compartments.items():
        things = "".join(
            f'<span class="what">{glyphs.of(label)}{escape(words.known(label))}</span>'
            for label in labels
        )
        rows.append(f'<tr><th scope="row">{escape(name)}</th><td>{things}</td></tr>')
    if not rows:
        return ""
    caption = f"<caption>{escape(words('compartments'))}</caption>"
    return f'<table class="compartments">{caption}{"".join(rows)}</table>'


def _health(bin: Bin, words: Words) -> list[tuple[str, str]]:
    rows = []
    depth = wire.number(bin.health, "outbox_depth")
    if depth:
        rows.append((words("undelivered"), f"{depth:.0f}"))
    celsius = wire.number(bin.health, "temperature_c")
    if celsius is not None:
        rows.append((words("temperature"), f"{celsius:.0f} °C"))
    free = wire.number(bin.health, "disk_free_mb")
    if free is not None:
        rows.append((words("disk"), f"{words.number(free / 1024, 1)} GB"))
    up = wire.number(bin.health, "uptime_s")
    if up is not None:
        rows.append((words("uptime"), words.span(up)))
    limits = wire.number(bin.state, "thresholds", "gap")
    if limits is not None:
        rows.append((words("thresholds"), f"{words('gap').lower()} {words.percent(limits, 0)}"))
    name = wire.text(bin.info, "model", "name")
    if name:
        rows.append((words("model"), f"{name} {wire.text(bin.info, 'model', 'variant')}"))
    return rows


def _photo(event: Event, words: Words) -> str:
    if event.image_id is None:
        return f'<span class="nophoto">{glyphs.of(event.label)}</span>'
    image = quote(event.image_id, safe="")  # else it could name any address of ours
    return (
        f'<img src="/picture/{escape(event.device_id)}/{image}" loading="lazy" '
        f'width="320" height="240" alt="{escape(words("picture_of"))}">'
    )


def _chip(event: Event, words: Words) -> str:
    sorted_ = event.event_type is EventType.SORTED
    sign, kind = ("✓", "sorted") if sorted_ else ("?", "uncertain")
    return (
        f'<span class="chip {kind}"><span aria-hidden="true">{sign}</span> '
        f"{escape(_done(event, words))}</span>"
    )


def _done(event: Event, words: Words) -> str:
    if event.event_type is EventType.SORTED:
        key = "into" if event.mode == "auto" else "planned"
        return f"{words('sorted')} {words(key, event.bin or '?')}"
    return f"{words('uncertain')}: {words.reason(str(event.reason))}"


def _took(event: Event, words: Words) -> str:
    timing = event.timing_ms or {}
    try:
        think = timing["preprocess"] + timing["invoke"] + timing["decide"]
        return " · " + escape(words("took", f"{timing['total']:.0f}", f"{think:.0f}"))
    except KeyError:
        return ""


def _answered(event: Event, answer: Event | None, words: Words) -> str:
    if answer is None or answer.answer is None:
        return ""
    return f'<p class="answer">✓ {escape(_answer(answer, words))}</p>'


def _answer(event: Event, words: Words) -> str:
    assert event.answer is not None
    way = words.known(f"way_{event.answer.way}")
    text = words("answered", words.known(event.answer.label), way)
    return f"{text} {words('into', event.bin)}" if event.bin else text


def _time(event: Event) -> str:
    moment = when(event)
    day = "" if moment.date() == datetime.now().date() else f"{moment:%Y-%m-%d} "
    return f'<time datetime="{escape(event.ts)}">{day}{moment:%H:%M:%S}</time>'


def when(event: Event) -> datetime:
    """The event's time in this machine's zone."""
    return _moment(event.ts) or datetime.fromtimestamp(0).astimezone()


def _moment(ts: str) -> datetime | None:
    try:
        return datetime.fromisoformat(ts).astimezone()
    except (ValueError, OverflowError):
        return None


def options(pairs: Sequence[tuple[str, str]], chosen: str) -> str:
    """The ``<option>``s of a native select."""
    return "".join(
        f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>'
        f"{escape(text)}</option>"
        for value, text in pairs
    )
