"""What a person may ask of one bin: a mode, a look, its lamps, a self-test, to count anew."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from html import escape
from typing import Any

from nicegui import ui

from trashbin.dashboard import elements, wire
from trashbin.dashboard.bins import Bin
from trashbin.dashboard.frame import Sheet
from trashbin.types import Mode

MAX_COMPARTMENTS = 24  # that get a button; more is nobody's bin


class Controls:
    """A card of buttons; ``show`` makes it fit a bin, and hides it where there is none."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self._shown: tuple[str, ...] = ()
        self._modes: dict[str, ui.html] = {}
        self._asking = False
        self.element = ui.element("section").classes("card stack controls")
        self.element.props('aria-labelledby="controls"')

    def show(self, bin: Bin | None) -> None:
        """Touches only what changed: a button drawn anew would lose focus and clicks."""
        self.element.set_visibility(bin is not None)
        if bin is None:
            return
        compartments = list(bin.levels)[:MAX_COMPARTMENTS]
        if (bin.id, *compartments) != self._shown:
            self._shown = (bin.id, *compartments)
            self.element.clear()
            with self.element:
                self._draw(bin.id, compartments)
        for mode, button in self._modes.items():
            pressed = "true" if mode == bin.mode else "false"
            if button.props.get("aria-pressed") != pressed:
                button.props["aria-pressed"] = pressed

    def _draw(self, device: str, compartments: list[str]) -> None:
        words = self.sheet.words
        elements.text(words("controls"), "h2").props('id="controls"')
        with self._group(words("mode")):
            self._modes = {
                mode: self._button(_upper(words.known(mode)), device, "mode", {"mode": mode})
                for mode in map(str, Mode)
            }
        with self._group(words("do_now")):
            for verb in ("look", "identify", "selftest"):
                self._button(words(f"do_{verb}"), device, verb, {})
        if compartments:
            with self._group(words("do_emptied")):
                for name in compartments:
                    self._button(name, device, "emptied", {"bin": name})

    def _group(self, name: str) -> ui.element:
        group = ui.element("div").classes("asks").props('role="group"')
        group.props["aria-label"] = name
        with group:
            elements.text(name, "span").classes("ask")
        return group

    def _button(self, text: str, device: str, verb: str, data: dict[str, Any]) -> ui.html:
        return elements.button(escape(text), partial(self._ask, device, verb, data))

    async def _ask(self, device: str, verb: str, data: dict[str, Any]) -> None:
        if self._asking:
            return
        self._asking = True
        try:
            told = await self.sheet.ask(device, verb, data)
        finally:
            self._asking = False
        if wire.text(told, "status") == "ok":
            self.sheet.toast(self._done(device, verb, wire.table(told, "data")))

    def _done(self, device: str, verb: str, data: Mapping[str, Any]) -> str:
        words, name = self.sheet.words, self.sheet.name(device)
        parts = wire.table(data, "parts")
        wrong = [f"{words.part(part)}: {said}" for part, said in parts.items() if said != "good"]
        if wrong:
            return f"{name}: {'; '.join(wrong)}"
        if verb == "look":
            found = [words.known(wire.text(data, key)) for key in ("event_type", "label")]
            return f"{name}: {', '.join(filter(None, found))}"
        return words("all_well" if verb == "selftest" else "done", name)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
