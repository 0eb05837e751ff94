"""Which of the archive's events somebody wants to see, as the condition of a query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from trashbin.events import timestamp

# of an event: what a person said, what of the bin it is about, and what is searched for a text, its
# time in this machine's zone
ANSWERED = "json_extract(json, '$.answer.label')"
PART = "json_extract(json, '$.detail.part')"
TEXTS = " || ' ' || ".join(
    f"coalesce({each}, '')"
    for each in (
        "strftime('%Y-%m-%d %H:%M:%S', ts, 'localtime')",
        *("event_id", "device_id", "kind", "label", "reason", ANSWERED, PART),
        *(f"json_extract(json, '$.{key}')" for key in ("bin", "detail.message")),
    )
)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events: of one bin, of kinds, of a label, holding a text, since a moment (UTC).

    ``meant`` is what the text stands for in somebody's language: a column -> its values.
    """

    device: str | None = None
    kinds: Sequence[str] = ()
    label: str | None = None
    text: str = ""
    meant: Mapping[str, Sequence[str]] = field(default_factory=dict)
    since: datetime | None = None

    def by_kind(self) -> list[Filter]:
        """The same as one filter for each kind, where there are several."""
        return [replace(self, kinds=[kind]) for kind in self.kinds] or [self]

    def where(self) -> tuple[str, list[Any]]:
        """The SQL condition and its parameters."""
        terms: list[str] = ["1"]
        values: list[Any] = []
        if self.device is not None:
            # the index of kinds has the bins, too; that of bins has not the kinds
            terms.append("+device_id = ?" if self.kinds else "device_id = ?")
            values.append(self.device)
        if self.kinds:
            terms.append(f"kind IN ({', '.join('?' * len(self.kinds))})")
            values += [str(kind) for kind in self.kinds]
        if self.label is not None:
            terms.append(f"(label = ? OR kind = 'resolved' AND {ANSWERED} = ?)")
            values += [self.label] * 2
        if self.text:
            among = [f"instr(lower({TEXTS}), lower(?)) > 0"]
            values.append(self.text)
            for column, keys in self.meant.items():
                among.append(f"{column} IN ({', '.join('?' * len(keys))})")
                values += keys
            terms.append(f"({' OR '.join(among)})")
        if self.since is not None:
            terms.append("ts >= ? AND julianday(ts) IS NOT NULL")  # the disk may have altered it
            values.append(timestamp(self.since))
        return " AND ".join(terms), values


EVERY = Filter()
