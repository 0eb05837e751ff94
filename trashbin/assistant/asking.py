"""Questions at a terminal, each with a default, and what an answer may be."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

import click

from trashbin import settings

STEPS = 8
NONE = "none"


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

    def _ask(self, question: str, default: Any, check: Callable[[str], Any] = str) -> Any:
        if self.yes:
            return default
        return click.prompt(f"  {question}", default=default, value_proc=check)

    def _sure(self, question: str, default: bool = True) -> bool:
        return default if self.yes else click.confirm(f"  {question}", default=default)

    def _choose(self, question: str, choices: Sequence[str], default: str) -> str:
        if self.yes:
            return default
        shown = choices if len(choices) < 8 else ()
        answer: str = click.prompt(
            f"  {question}", default=default, type=click.Choice(choices), show_choices=bool(shown)
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
            if not text.isdigit() or int(text) not in among:
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


def id_checked(text: str) -> str:
    """A name on MQTT."""
    if not re.fullmatch(settings.ID_PATTERN, text):
        raise click.BadParameter("1 to 64 of the letters a-z, A-Z, digits, - and _")
    return text


def angle_checked(text: str) -> str:
    """An angle that a hobby servo reaches."""
    try:
        angle = float(text)
    except ValueError:
        raise click.BadParameter("a number of degrees, such as -45") from None
    if not -90 <= angle <= 90:
        raise click.BadParameter("degrees from -90 to 90")
    return text


def whole(least: int, most: int) -> Callable[[str], int]:
    """A check for a whole number from one to another."""

    def checked(text: str) -> int:
        if not str(text).isdigit() or not least <= int(text) <= most:
            raise click.BadParameter(f"a whole number from {least} to {most}")
        return int(text)

    return checked
