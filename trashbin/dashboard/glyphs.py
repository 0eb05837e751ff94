"""A small drawing for each class: a line on 24 x 24, in the colour of the text."""

from __future__ import annotations

DRAWN = {
    "cardboard": "M3 8l9-4 9 4v9l-9 4-9-4zM3 8l9 4 9-4M12 12v9M7.5 6l9 4",
    "glass": "M10 2h4v5c0 2 3 3 3 6v8a1 1 0 0 1-1 1H8a1 1 0 0 1-1-1v-8c0-3 3-4 3-6zM7 14h10",
    "metal": "M6 5c0-3 12-3 12 0v14c0 3-12 3-12 0zM6 5c0 3 12 3 12 0M10 12h4",
    "paper": "M6 2h8l4 4v16H6zM14 2v4h4M9 11h6M9 15h6",
    "plastic": "M9 2h6v3l2 3v13H7V8l2-3zM7 12h10M7 17h10M9 5h6",
    "trash": "M5 6h14M10 6V3h4v3M7 6l1 15h8l1-15M10 10v7M14 10v7",
}
UNKNOWN = "M9 9a3 3 0 1 1 4 3c-1 .5-1 1-1 2M12 17v.5M12 2a10 10 0 1 0 .01 0"


def of(label: str | None) -> str:
    """The drawing of a class, hidden from who listens: its name always stands beside it."""
    path = DRAWN.get(label or "", UNKNOWN)
    return (
        f'<svg class="glyph" viewBox="0 0 24 24" aria-hidden="true"><path d="{path}" fill="none" '
        'stroke="currentColor" stroke-width="1.6" stroke-linecap="round" '
        'stroke-linejoin="round"/></svg>'
    )
