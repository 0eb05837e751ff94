"""Variants of an input, by a plain random generator: twenty times as cheap as hypothesis' own.

Hypothesis draws an input and a seed; the variants follow from these two alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from tests.fuzz.mutations import NUMBERS, ODD_VALUES, Edit, as_json, edited, places
from tests.fuzz.packages import Package
from tests.fuzz.stores import Spoilt

BATCH = 20  # inputs of one example: hypothesis' own, and its variants
MOST_BYTES = 2**20
_TOKEN = re.compile(rb'"[^"\n]{0,80}"|-?\d[\d.e+-]*|[A-Za-z_]\w*')
_ODD_TOKENS = [as_json(value) for value in ODD_VALUES]


def batch(value: Any, seed: int) -> Iterator[Any]:
    """The input itself, then its variants, every one from the input and its own place in line."""
    yield value
    for index in range(1, BATCH):
        yield variant(value, seed, index)


def variant(value: Any, seed: int, index: int) -> Any:
    """The variant at this place of the batch with this seed."""
    rng = Random(f"{seed}/{index}")
    for _ in range(rng.randint(1, 3)):
        value = _varied(value, rng)
    return value


def _varied(value: Any, rng: Random) -> Any:
    match value:
        case bytes():
            return _text(value, rng)
        case (bytes() as topic, bytes() as body, bool() as retained):  # a request
            if rng.random() < 0.2:
                return _bytes(topic, rng), body, retained
            return topic, _text(body, rng), retained
        case list():  # edits of a network
            return _edits(value, rng)
        case Package():
            return _package(value, rng)
        case Spoilt():
            return _spoilt(value, rng)
    raise TypeError(f"no variants of {value!r:.100}")


def _text(content: bytes, rng: Random) -> bytes:
    """What is JSON stays JSON most of the time, so that its keys and values are tried too."""
    if content[:1] in (b"{", b"[") and rng.random() < 0.8:
        try:
            tree = json.loads(content)
        except (ValueError, RecursionError):
            return _bytes(content, rng)
        within = places(tree)[1:]
        if within:
            _other_value(within, rng)
            return as_json(tree)[:MOST_BYTES]
    return _bytes(content, rng)


def _other_value(within: Sequence[tuple[Any, Any]], rng: Random) -> None:
    """Another value at one place, or none: an odd one, its neighbour, or that of another place."""
    holder, key = rng.choice(within)
    old = holder[key]
    match rng.randrange(6):
        case 0 | 1 if isinstance(old, int | float):
            holder[key] = rng.choice([old + 1, old - 1, old * 2, old // 2, -old, old * 1000])
        case 0 | 1 | 2:
            other, at = rng.choice(within)
            holder[key] = json.loads(as_json(other[at]))
        case 3:
            del holder[key]
        case 4:
            holder[key] = [old, old]
        case _:
            holder[key] = rng.choice(ODD_VALUES)


def _bytes(content: bytes, rng: Random) -> bytes:
    """Patched, cut off, with a part missing, doubled or moved, or another word in one's place."""
    size = len(content)
    at = rng.randint(0, min(size, 64) if rng.random() < 0.5 else size)
    length = rng.randint(0, 16 if rng.random() < 0.8 else size)
    part, rest = content[at : at + length], content[at + length :]
    match rng.randrange(10):
        case 0 | 1:
            content = edited(content, [(at, _patch(rng))])
        case 2:
            content = content[:at] + _patch(rng) + content[at:]
        case 3:
            content = content[:at]
        case 4:
            content = content[:at] + rest
        case 5:
            content = content[:at] + part * rng.choice([2, 3, 50]) + rest
        case 6:
            to = rng.randint(0, len(rest))
            content = content[:at] + rest[:to] + part + rest[to:]
        case _:
            content = _other_word(content, rng)
    return content[:MOST_BYTES]


def _other_word(content: bytes, rng: Random) -> bytes:
    """What reads as text keeps its grammar so: a word or value of it, or an odd one, for one."""
    words = list(_TOKEN.finditer(content, 0, 20_000))
    if not words:
        return edited(content, [(rng.randint(0, len(content)), _patch(rng))])
    word = rng.choice(words)
    new = rng.choice(words).group() if rng.random() < 0.4 else rng.choice(_ODD_TOKENS)
    return content[: word.start()] + new + content[word.end() :]


def _patch(rng: Random) -> bytes:
    if rng.random() < 0.5:
        return rng.randbytes(rng.randint(1, 4))
    size = rng.choice([1, 2, 4, 8])
    number = rng.choice([*NUMBERS, rng.randint(0, 4096)])
    return (number % 2 ** (8 * size)).to_bytes(size, rng.choice(["little", "big"]))


def _edits(changes: Sequence[Edit], rng: Random) -> list[Edit]:
    """One patch with other bytes, or a few places on."""
    varied = list(changes)
    if varied:
        index = rng.randrange(len(varied))
        at, patch = varied[index]
        if rng.random() < 0.5:
            varied[index] = at, _patch(rng)
        else:
            varied[index] = max(0, at + rng.choice([-8, -4, -2, -1, 1, 2, 4, 8])), patch
    return varied


def _package(package: Package, rng: Random) -> Package:
    if package.cut is not None:
        return replace(package, cut=rng.randint(0, 2 * package.cut))
    if package.patches and rng.random() < 0.7:
        return replace(package, patches=_edits(package.patches, rng))
    files = [(name, content) for name, content in package.files]
    own = [index for index, (_, content) in enumerate(files) if content is not None]
    if own:
        index = rng.choice(own)
        name, content = files[index]
        files[index] = name, _bytes(content or b"", rng)
    return replace(package, files=tuple(files))


def _spoilt(spoilt: Spoilt, rng: Random) -> Spoilt:
    given = [name for name in ("statements", "file", "log") if getattr(spoilt, name)]
    if spoilt.cut is not None and (not given or rng.random() < 0.3):
        return replace(spoilt, cut=rng.randint(0, 2 * spoilt.cut))
    if not given:
        return replace(spoilt, cut=rng.randint(0, 2**17))
    match rng.choice(given):
        case "statements":
            return replace(
                spoilt, statements=rng.choices(spoilt.statements, k=rng.randint(1, 4)), cut=None
            )
        case name:
            return replace(spoilt, **{name: _edits(getattr(spoilt, name), rng)})
