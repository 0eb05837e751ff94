"""Where a FlatBuffer keeps its structure, so that a fuzzer hits that and not the weights."""

from __future__ import annotations

import struct

MANY = 256  # elements of a vector; what is longer holds weights


def offsets(content: bytes) -> list[int]:
    """Places of offsets, vtables, lengths and scalars, found without the schema.

    Whatever could be an offset is followed; layout: flatbuffers.dev, "FlatBuffer Internals".
    """
    found = set(range(32))
    tables = [_u32(content, 0)]
    seen: set[int] = set()
    while tables:
        table = tables.pop()
        if table in seen or not _is_table(content, table):
            continue
        seen.add(table)
        vtable = table - _i32(content, table)
        found.update(range(table, table + 4), range(vtable, vtable + _u16(content, vtable)))
        for entry in range(vtable + 4, vtable + _u16(content, vtable), 2):
            if _u16(content, entry):
                field = table + _u16(content, entry)
                found.update(range(field, min(field + 4, len(content))))
                tables += _targets(content, field, found)
    return sorted(found)


def _targets(content: bytes, field: int, found: set[int]) -> list[int]:
    """What a field may point to: a table, or each table of a vector."""
    if field + 4 > len(content):
        return []
    target = field + _u32(content, field)
    if target + 4 > len(content):
        return []
    count = _u32(content, target)
    end = target + 4 + 4 * count
    if count <= MANY and end <= len(content):
        found.update(range(target, end))
        elements = range(target + 4, end, 4)
        return [target, *(at + _u32(content, at) for at in elements)]
    return [target]


def _is_table(content: bytes, at: int) -> bool:
    """A table begins with the way back to its vtable, which begins with two plausible sizes."""
    if at % 4 or at + 4 > len(content):
        return False
    vtable = at - _i32(content, at)
    if not 0 <= vtable <= len(content) - 4:
        return False
    size = _u16(content, vtable)
    return 4 <= size <= 128 and size % 2 == 0 and vtable + size <= len(content)


def _u16(content: bytes, at: int) -> int:
    return int(struct.unpack_from("<H", content, at)[0])


def _u32(content: bytes, at: int) -> int:
    return int(struct.unpack_from("<I", content, at)[0])


def _i32(content: bytes, at: int) -> int:
    return int(struct.unpack_from("<i", content, at)[0])
