"""Ways to damage what was sound: trees, texts and bytes, as hypothesis strategies."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

Edit = tuple[int, bytes]  # where, and what is written there

# numbers at which counters and allocations break
NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1]
PATCHES = st.one_of(
    st.binary(min_size=1, max_size=4),
    st.builds(
        lambda number, size, order: (number % 2 ** (8 * size)).to_bytes(size, order),
        st.sampled_from(NUMBERS) | st.integers(0, 4096),
        st.sampled_from([1, 2, 4, 8]),
        st.sampled_from(["little", "big"]),
    ),
)


def edits(places: Sequence[int], most: int = 6) -> st.SearchStrategy[list[Edit]]:
    """Up to ``most`` patches at these offsets of a file."""
    return st.lists(st.tuples(st.sampled_from(places), PATCHES), min_size=1, max_size=most)


def edited(content: bytes, changes: Sequence[Edit]) -> bytes:
    """The content with each patch written over what was there."""
    spoilt = bytearray(content)
    for at, patch in changes:
        spoilt[at : at + len(patch)] = patch[: max(0, len(content) - at)]
    return bytes(spoilt)


@st.composite
def damaged(draw: st.DrawFn, contents: Sequence[bytes]) -> bytes:
    """One of the contents: patched, cut off, with a part missing, doubled or from another one."""
    content = draw(st.sampled_from(contents))
    for _ in range(draw(st.integers(1, 3))):
        size = len(content)
        at = draw(st.integers(0, min(size, 64)) | st.integers(0, size))
        length = draw(st.integers(0, 16) | st.integers(0, size - at))
        part = content[at : at + length]
        match draw(st.integers(0, 7)):
            case 0 | 1 | 2 | 3:
                content = edited(content, [(at, draw(PATCHES))])
            case 4:
                content = content[:at]
            case 5:
                content = content[:at] + content[at + length :]
            case 6:
                content = content[:at] + part * draw(st.sampled_from([2, 3, 50])) + content[at:]
            case _:
                other = draw(st.sampled_from(contents))
                content = content[:at] + other[at:]
    return content[: 2**20]


ODD_VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    1,
    2**31,
    2**63,
    -(2**63),
    10**400,
    0.0,
    -0.0,
    1e308,
    5e-324,
    float("nan"),
    float("inf"),
    "",
    " ",
    "\0",
    "a" * 5000,
    "/",
    "..",
    "/dev/zero",
    "/dev/null",
    "\u2028",
    "\ud800",
    "é",
    "1e999",
    "0x10",
    "yes",
    [],
    {},
    [[]],
    [None],
    {"": ""},
    {"kind": "kind"},
    "${HOME}",
    "%s%n",
    "~",
]
ODD = st.sampled_from(ODD_VALUES)
ANY = st.one_of(
    ODD,
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.lists(ODD, max_size=3),
    st.dictionaries(st.text(max_size=6), ODD, max_size=3),
)


@st.composite
def odd_tree(draw: st.DrawFn, trees: Sequence[Any], names: Sequence[str]) -> Any:
    """One of the trees after a few changes to its keys and values; ``names`` are likely keys."""
    tree = copy.deepcopy(draw(st.sampled_from(trees)))
    for _ in range(draw(st.integers(1, 4))):
        holder, key = draw(st.sampled_from(places(tree)))
        if holder is None:
            return draw(ANY)
        match draw(st.integers(0, 5)):
            case 0 | 1:
                holder[key] = copy.deepcopy(draw(ANY))
            case 2:
                del holder[key]
            case 3:
                holder[key] = [holder[key]]
            case 4:
                other, at = draw(st.sampled_from(places(tree)[1:] or [(holder, key)]))
                holder[key] = copy.deepcopy(other[at])
            case _ if isinstance(holder, dict):
                holder[draw(st.sampled_from(names) | st.text(max_size=5))] = copy.deepcopy(
                    draw(ANY)
                )
    return tree


def places(tree: Any) -> list[tuple[Any, Any]]:
    """The tree itself and every value in it, as (what holds it, its key)."""
    found: list[tuple[Any, Any]] = [(None, None)]
    waiting = [tree]
    while waiting:
        holder = waiting.pop()
        keys = holder if isinstance(holder, dict) else range(len(holder))
        for key in keys:
            found.append((holder, key))
            if isinstance(holder[key], dict | list):
                waiting.append(holder[key])
    return found


def as_json(tree: Any) -> bytes:
    """The tree as JSON, or as close to it as it can be written."""
    return json.dumps(tree, ensure_ascii=False).encode("utf-8", "surrogatepass")
