"""Where requests are answered: each verb of MQTT's ``request/<verb>``, on the main thread.

The network's thread only puts them here, and turns away what nobody could answer in time.
"""

from __future__ import annotations

import base64
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from trashbin import requests, resources
from trashbin.errors import DeviceError, RequestError, StoreError
from trashbin.events import ITEM_EVENTS, Answer, Event
from trashbin.ports import Clock, Publisher
from trashbin.record import Recorder
from trashbin.requests import Request
from trashbin.types import Mode, Signal, Source

log = logging.getLogger(__name__)

WAITING_LIMIT = 16
TELL_EVERY_S = 1.0  # how often those who are turned away are told
LOG_EVERY_S = 10.0  # how often the log tells of a refusal: who asked is told of each


class Bin(Protocol):
    """What a request may do to a bin."""

    def may_look(self) -> bool:
        """True where a request is among the triggers, as far as they are known."""
        ...

    def take(self, signal: Signal) -> Event | None:
        """Look now; None where the bin cannot."""
        ...

    def resolve(self, item: Event, answer: Answer) -> Event:
        """A person says what an item is; what lies there still is sorted. What is now told."""
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


@dataclass(frozen=True, slots=True)
class RawRequest:
    """A request as the network's thread received it; not longer than what is refused as too long.

    ``retained`` is MQTT's flag.
    """

    verb: str
    payload: bytes
    retained: bool


class _Sparing:
    """A warning now and then, with how many were left out: whoever asks could fill the log."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._at = float("-inf")
        self._left_out = 0

    def __call__(self, message: str) -> None:
        now = self._clock.monotonic()
        if now - self._at < LOG_EVERY_S:
            self._left_out += 1
            return
        more = f" (and {self._left_out} like it since the last one)" if self._left_out else ""
        log.warning("%s%s", message, more)
        self._at, self._left_out = now, 0


class Desk:
    """Parses, does and answers. A refusal is an answer too, and is counted."""

    def __init__(self, bin: Bin, clock: Clock, recorder: Recorder, publisher: Publisher) -> None:
        self.bin = bin
        self.clock = clock
        self.recorder = recorder
        self.publisher = publisher
        self.waiting: deque[RawRequest] = deque()
        self._bucket = requests.Bucket()
        self._told_at = float("-inf")
        self._log_refused, self._log_away = _Sparing(clock), _Sparing(clock)
        self.verbs: dict[str, Callable[[Request], Any]] = {
            "look": self._look,
            "mode": self._mode,
            "threshold": self._threshold,
            "resolve": self._resolve,
            "identify": self._identify,
            "selftest": self._selftest,
            "image": self._image,
            "emptied": self._emptied,
            "events": self._events,
            "remove": self._remove,
        }

    def put(self, verb: str, payload: bytes, retained: bool) -> bool:
        """Let a request wait for its answer; False where it is turned away. On any one thread."""
        now = self.clock.monotonic()
        if self._bucket.take(now) and len(self.waiting) < WAITING_LIMIT:
            self.waiting.append(RawRequest(verb, payload[: requests.MAX_BYTES + 1], retained))
            return True
        self.recorder.turned_away += 1
        if now - self._told_at >= TELL_EVERY_S:
            self._told_at = now
            why = (
                f"Too many requests: {requests.RATE} a second are read, {WAITING_LIMIT} may wait; "
                f"{self.recorder.turned_away} were turned away since the start."
            )
            self._log_away(why)
            self.publisher.respond(verb, requests.answer("refused", None, why, None))
        return False

    def answer_next(self) -> None:
        """Do what the first one asks, and say on ``response/<verb>`` how it went."""
        raw = self.waiting.popleft()
        verb, transaction = raw.verb, None
        try:
            request = requests.parse(verb, raw.payload, raw.retained, self.clock.now())
            transaction = request.transaction
            data = self.verbs[request.verb](request)
        except RequestError as error:
            self._log_refused(f"request {verb} refused: {error}")
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

    def _resolve(self, request: Request) -> dict[str, Any]:
        event_id, label = request.data["event_id"], request.data["label"]
        known = resources.labels()
        if label not in known:
            raise RequestError(f"there is no label {label!r}; there are {', '.join(known)}")
        item = self.recorder.outbox.find(event_id)
        if item is None:
            raise RequestError(
                f"there is no event {event_id!r} here: it is another bin's, "
                "or older than the history"
            )
        if item.event_type not in ITEM_EVENTS:
            raise RequestError(
                f"the event {event_id} is {item.event_type}: only sorted and uncertain ones "
                "are of an item that has a label"
            )
        told = self.bin.resolve(item, Answer(label, request.data["way"]))
        return {"event_id": told.event_id, "resolves": event_id, "label": label, "bin": told.bin}

    def _identify(self, request: Request) -> dict[str, Any]:
        self.bin.identify()
        return {}

    def _selftest(self, request: Request) -> dict[str, Any]:
        return {"parts": dict(self.bin.selftest())}

    def _image(self, request: Request) -> dict[str, Any]:
        if not self.recorder.config.pictures.publish:
            raise RequestError("pictures do not leave this bin: its pictures: publish is false")
        image_id = request.data["image_id"]
        jpeg = self.recorder.album.read(image_id)
        if jpeg is None:
            raise RequestError(f"there is no picture {image_id!r} here (any more)")
        return {"image_id": image_id, "jpeg": base64.b64encode(jpeg).decode()}

    def _emptied(self, request: Request) -> dict[str, Any]:
        bin, bins = request.data["bin"], self.recorder.config.bins
        if not bins:
            raise RequestError(f"the bins are not known now: {self.bin.in_words()}")
        if bin not in bins:
            raise RequestError(f"there is no bin {bin!r}; there are {', '.join(bins)}")
        self.recorder.levels.empty(bin)
        self.bin.tell()
        return {"bin": bin}

    def _events(self, request: Request) -> dict[str, Any]:
        """With ``first_seq`` and ``store_id``, the asker knows what is not to be had any more."""
        after, outbox = request.data["after_seq"], self.recorder.outbox
        last_seq = outbox.last_seq()  # first: what is committed meanwhile is beyond it
        kept = outbox.span(after, 1)
        count = self.publisher.resend(after, request.data["limit"])
        return {
            "events": count,
            "first_seq": kept[0].seq if kept else None,
            "last_seq": last_seq,
            "store_id": outbox.store_id,
        }

    def _remove(self, request: Request) -> dict[str, Any]:
        self.publisher.forget()
        return {}
