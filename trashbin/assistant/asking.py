"""Questions at a terminal, each with a default, and what an answer may be."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

import click

from trashbin import settings

STEPS = 8
NONE = "none"
NUMBER = re.compile("[0-9]{1,9}")  # isdigit() takes ², and int() does not


class Questions:
    """Asks them step by step; with ``yes`` every default is taken, and nothing asked or said."""

    def __init__(self, *, yes: bool) -> None:
        self.yes = yes
        self._step = 0
        self._taken: dict[int, str] = {}  # pins, by what they were asked for

    def _head(self, title: str) -> None:
        self._step += 1
        if not self.yes:
            click.echo()
            click.secho(f"{self._step}/{STEPS} {title}", bold=True)

    def _say(self, text: str) -> None:
        if not self.yes:
            click.echo(click.wrap_text(text, 78, "  ", "  "))

    def _ask(self, question: str, default: Any, check: Callable[[str], Any] | None = None) -> Any:
        if self.yes:
            return default
        return _answered(
            lambda: click.prompt(
                f"  {question}", default=default, value_proc=check or plain_checked
            )
        )

    def _secret(self, question: str) -> str:
        told: str = _answered(
            lambda: click.prompt(
                f"  {question}", hide_input=True, default="", value_proc=plain_checked
            )
        )
        return told

    def _sure(self, question: str, default: bool = True) -> bool:
        if self.yes:
            return default
        sure: bool = _answered(lambda: click.confirm(f"  {question}", default=default))
        return sure

    def _choose(self, question: str, choices: Sequence[str], default: str) -> str:
        if self.yes:
            return default
        shown = choices if len(choices) < 8 else ()
        answer: str = _answered(
            lambda: click.prompt(
                f"  {question}",
                default=default,
                type=click.Choice(choices),
                show_choices=bool(shown),
            )
        )
        return answer

    def _pin(
        self, question: str, default: int | None, among: Collection[int] = range(2, 28)
    ) -> int | None:
        """A BCM pin that no answer before took; none where the question allows it."""
        optional = NONE in question

        def checked(text: str) -> str:
            if text == NONE and optional:
                return text
            if not NUMBER.fullmatch(text) or int(text) not in among:
                also = ", or none" if optional else ""
                shown = ", ".join(map(str, among)) if len(among) < 8 else "from 2 to 27"
                raise click.BadParameter(f"a BCM pin {shown}{also}")
            if int(text) in self._taken:
                raise click.BadParameter(f"GPIO{text} is taken: {self._taken[int(text)]}")
            return text

        shown = NONE if default is None else str(default)
        answer = self._ask(question, shown, checked)
        if answer == NONE:
            return None
        self._taken[int(answer)] = question.removesuffix(f", or {NONE}").lower()
        return int(answer)


def _answered(ask: Callable[[], Any]) -> Any:
    """The answer; asked again where the terminal sent what is no text."""
    while True:
        try:
            return ask()
        except UnicodeDecodeError:
            click.echo("Error: the terminal does not send UTF-8; letters from a to z will do")


def plain_checked(text: str) -> str:
    """Nothing but what can be seen: an arrow key, too, sends a character."""
    if not text.isprintable():
        raise click.BadParameter("letters, digits and signs that can be seen")
    return text


def id_checked(text: str) -> str:
    """A name on MQTT."""
    if not re.fullmatch(settings.ID_PATTERN, text):
        raise click.BadParameter("1 to 64 of the letters a-z, A-Z, digits, - and _")
    return text


def angle_within(least: float, most: float) -> Callable[[str], str]:
    """A check for an angle that the servo reaches."""

    def checked(text: str) -> str:
        try:
            angle = float(text)
        except ValueError:
            raise click.BadParameter("a number of degrees, such as -45") from None
        if not least <= angle <= most:
            raise click.BadParameter(f"degrees from {least:g} to {most:g}")
        return text

    return checked


def whole(least: int, most: int) -> Callable[[str], int]:
    """A check for a whole number from one to another."""

    def checked(text: str) -> int:
        if not NUMBER.fullmatch(str(text)) or not least <= int(text) <= most:
            raise click.BadParameter(f"a whole number from {least} to {most}")
        return int(text)

    return checked
