"""Items as cards, newest first, with buttons for a person's answer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from html import escape

from nicegui import ui

from trashbin import resources
from trashbin.dashboard import cards, elements, glyphs, wire
from trashbin.dashboard.frame import Sheet
from trashbin.events import Event, EventType


class Feed:
    """Cards in a column; ``show`` makes them fit what is given, touching only what changed."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self._cards: dict[str, _Card] = {}
        self.column = ui.element("div").classes("stack feed")

    def show(self, events: Sequence[Event]) -> None:
        """Draw these, newest first."""
        answers = self.sheet.watch.archive.answers([event.event_id for event in events])
        wanted = {event.event_id for event in events}
        for event_id in [known for known in self._cards if known not in wanted]:
            self._cards.pop(event_id).element.delete()
        fresh = [event for event in events if event.event_id not in self._cards]
        for event in reversed(fresh):
            with self.column:
                card = _Card(self.sheet, event)
            # among the cards that stay, it belongs where its time puts it
            newer = sum(1 for other in self._cards.values() if other.event.ts > event.ts)
            card.element.move(target_index=newer)
            self._cards[event.event_id] = card
        for event_id, card in self._cards.items():
            card.answer(answers.get(event_id))
        if fresh and len(fresh) < len(events):
            newest = fresh[0]
            name = self.sheet.name(newest.device_id)
            self.sheet.say(cards.said(newest, name, self.sheet.words))


class _Card:
    def __init__(self, sheet: Sheet, event: Event) -> None:
        self.sheet = sheet
        self.event = event
        self._answer: Event | None = None
        self._asked = False
        self._said = ""  # the label that holds: a second click of the same hand comes late
        self._buttons: list[ui.element] = []
        kind = str(event.event_type)
        self.element = ui.element("article").classes(f"card item {kind}")
        self.element.props["data-event"] = event.event_id
        self.element.props["data-ts"] = event.ts
        with self.element:
            self._piece = elements.html(self._drawn()).classes("piece")
            if event.event_type is EventType.UNCERTAIN:
                self._asks = ui.element("div").classes("asks")
                with self._asks:
                    elements.text(sheet.words("what_is_it"), "span").classes("ask")
                    self._labels()
            else:
                with ui.element("details"):
                    elements.text(sheet.words("correct"), "summary")
                    self._asks = ui.element("div").classes("asks")
                    with self._asks:
                        self._labels()

    def answer(self, answer: Event | None) -> None:
        """Show what a person said, once somebody has."""
        if answer is None or (self._answer and self._answer.event_id == answer.event_id):
            return
        self._answer = answer
        self._said = answer.answer.label if answer.answer else ""
        self._piece.set_content(self._drawn())
        if self.event.event_type is EventType.UNCERTAIN:
            self._asks.set_visibility(False)

    def _drawn(self) -> str:
        name = self.sheet.name(self.event.device_id)
        return cards.article(self.event, name, self._answer, self.sheet.words)

    def _labels(self) -> None:
        # who hears the page comes upon the same buttons at each item
        self._asks.props["role"] = "group"
        name = self.sheet.name(self.event.device_id)
        self._asks.props["aria-label"] = cards.said(self.event, name, self.sheet.words)
        bin = self.sheet.watch.bins.get(self.event.device_id)
        for label in (bin.labels if bin else None) or resources.labels():
            text = glyphs.of(label) + escape(self.sheet.words.known(label))
            button = elements.button(text, partial(self._say, label))
            button.props["data-label"] = label
            self._buttons.append(button)

    async def _say(self, label: str) -> None:
        if self._asked or label == self._said:
            return
        self._enable(False)
        request = {"event_id": self.event.event_id, "label": label, "way": "page"}
        told = await self.sheet.ask(self.event.device_id, "resolve", request)
        status = wire.text(told, "status")
        if status == "ok":
            self._said = label
            self.sheet.toast(self.sheet.words("sent", self.sheet.words.known(label)))
        elif status == "refused":  # the bin does not keep the item any more
            self.sheet.watch.dismiss(self.event)
        self._enable(True)

    def _enable(self, on: bool) -> None:
        """While the bin is asked. A button that is disabled would lose the keyboard's focus."""
        self._asked = not on
        if self.element.is_deleted:  # answered, and no longer in the queue
            return
        for button in self._buttons:
            button.props["aria-disabled"] = "false" if on else "true"
            button.update()
