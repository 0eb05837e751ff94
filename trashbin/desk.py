"""Where requests are answered: each verb of MQTT's ``request/<verb>``, on the main thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Protocol

from trashbin import requests
from trashbin.errors import DeviceError, RequestError, StoreError
from trashbin.events import Event
from trashbin.ports import Clock, Publisher
from trashbin.record import Recorder
from trashbin.requests import Request
from trashbin.types import Mode, Signal, Source

log = logging.getLogger(__name__)


class Bin(Protocol):
    """What a request may do to a bin."""

    def may_look(self) -> bool:
        """True where a request is among the triggers."""
        ...

    def take(self, signal: Signal) -> Event | None:
        """Look now. RequestError where the bin cannot."""
        ...

    def set_mode(self, mode: Mode) -> None:
        """Auto, advisory or paused, from now on and after a restart."""
        ...

    def identify(self) -> None:
        """Blink for a while, so that a person finds this bin among ten."""
        ...

    def selftest(self) -> Mapping[str, str]:
        """Try each part without moving anything: part -> ``good`` or what is wrong."""
        ...

    def in_words(self) -> str:
        """What the bin is doing, and why it does not sort where it doesn't."""
        ...

    def tell(self) -> None:
        """Publish info, state and health anew."""
        ...


class Desk:
    """Parses, does and answers. A refusal is an answer too, and is counted."""

    def __init__(self, bin: Bin, clock: Clock, recorder: Recorder, publisher: Publisher) -> None:
        self.bin = bin
        self.clock = clock
        self.recorder = recorder
        self.publisher = publisher
        self.verbs: dict[str, Callable[[Request], Any]] = {
            "look": self._look,
            "mode": self._mode,
            "threshold": self._threshold,
            "identify": self._identify,
            "selftest": self._selftest,
            "events": self._events,
        }

    def answer(self, verb: str, payload: bytes, retained: bool) -> None:
        """Do what is asked, and say on ``response/<verb>`` how it went."""
        transaction = None
        try:
            request = requests.parse(verb, payload, retained, self.clock.now())
            transaction = request.transaction
            data = self.verbs[request.verb](request)
        except RequestError as error:
            log.warning("request %s refused: %s", verb, error)
            self.recorder.refused += 1
            answer = requests.answer("refused", None, str(error), transaction or error.transaction)
        except (DeviceError, StoreError) as error:
            answer = requests.answer("error", None, str(error), transaction)
        else:
            answer = requests.answer("ok", data, None, transaction)
        self.publisher.respond(verb, answer)

    def _look(self, request: Request) -> dict[str, Any]:
        if not self.bin.may_look():
            raise RequestError("looking by request is off: add a trigger of kind mqtt")
        event = self.bin.take(Signal(Source.REQUEST, self.clock.monotonic()))
        if event is None:
            raise RequestError(f"the bin cannot look now: {self.bin.in_words()}")
        return {"event_id": event.event_id, "event_type": event.event_type, "label": event.label}

    def _mode(self, request: Request) -> dict[str, Any]:
        self.bin.set_mode(Mode(request.data["mode"]))
        return {"mode": self.recorder.mode}

    def _threshold(self, request: Request) -> dict[str, Any]:
        self.recorder.set_thresholds(dict(request.data))
        self.bin.tell()
        return asdict(self.recorder.thresholds)

    def _identify(self, request: Request) -> dict[str, Any]:
        self.bin.identify()
        return {}

    def _selftest(self, request: Request) -> dict[str, Any]:
        return {"parts": dict(self.bin.selftest())}

    def _events(self, request: Request) -> dict[str, Any]:
        count = self.publisher.resend(request.data["after_seq"], request.data["limit"])
        return {"events": count, "last_seq": self.recorder.outbox.last_seq()}
