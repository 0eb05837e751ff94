"""What the bin writes down and tells of itself: events into the store, and info, state, health.

Also holds what outlives a restart: the mode and the thresholds that a request set.
"""

from __future__ import annotations

import json
import logging
import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar

import trashbin
from trashbin import album, events, machine, resources
from trashbin.aging import believes_clock
from trashbin.album import Album
from trashbin.clock import is_synchronized
from trashbin.decision import hold
from trashbin.errors import StoreError
from trashbin.events import ITEM_EVENTS, Answer, Detail, Event, EventType
from trashbin.levels import Levels
from trashbin.looking import Sight
from trashbin.outbox import Outbox
from trashbin.pictures import encode
from trashbin.ports import Classifier, Clock, LevelSensor, Publisher
from trashbin.promised import Promised
from trashbin.requests import VERBS
from trashbin.settings import Config
from trashbin.status import Status
from trashbin.types import Action, Decision, Mode, ModelId, Reason, Signal, Thresholds

log = logging.getLogger(__name__)

Payload = dict[str, Any]
T = TypeVar("T")

RECALLED = 200  # events that are looked through for the last item

THRESHOLD = VERBS["threshold"]


class Recorder:
    """Makes events, commits them to the store and wakes the publisher."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        outbox: Outbox,
        publisher: Publisher,
        classifier: Classifier | None,
        levels: Mapping[str, LevelSensor] = MappingProxyType({}),
    ) -> None:
        self.levels = Levels(config, clock, outbox, levels)
        self.album = Album(config.store.path / album.NAME, config.pictures)
        self.config = config
        self.clock = clock
        self.outbox = outbox
        self.publisher = publisher
        self.classifier = classifier
        self.dropped = 0  # signals that found the inbox full
        self.trial: ModelId | None = None  # what judges beside the running model
        self.refused = 0
        self.turned_away = 0  # requests that were not even read; counted on the network's thread
        self.faults = 0  # told since the start
        self.answers = 0  # of people, since the start
        self.behind = False  # the broker may lack an event, and ``health`` has not told its end
        self.last_item: Event | None = None
        self.last_answer: Event | None = None
        self._settings: dict[str, tuple[str | None, str]] = {}  # as last read, and from which store
        self.promised = Promised(config.store.path, config.look)
        self.moving: str | None = None  # the last event of this run that moved something

    # what holds: a request, else the YAML, else the calibration, else the model's manifest

    @property
    def mode(self) -> Mode:
        """The mode that a request set, else the configuration's."""
        stored = self._setting("mode")
        return Mode(stored) if stored in set(Mode) else self.config.device.mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self.outbox.set("mode", mode)

    @property
    def thresholds(self) -> Thresholds:
        """The thresholds as they are applied, key by key."""
        return self.thresholds_of(self.classifier)

    def thresholds_of(self, classifier: Classifier | None) -> Thresholds:
        """The thresholds as they are applied, or would be with another model."""
        rules = self.config.rules.model_dump(exclude_none=True)
        return replace(self.promised.thresholds(classifier), **(rules | self._asked()))

    def set_thresholds(self, asked: dict[str, float | None]) -> None:
        """Let a request's thresholds hold from now on; None clears one."""
        kept = {key: value for key, value in (self._asked() | asked).items() if value is not None}
        self.outbox.set("thresholds", json.dumps(kept))

    def _asked(self) -> dict[str, float | None]:
        try:
            return THRESHOLD.model_validate_json(self._setting("thresholds") or "{}").data()
        except ValueError:  # the card has altered it
            return {}

    def commit_promise(self) -> Event | None:
        """Tell of a new calibration, or that what one promised is withdrawn, or holds again.

        A new one ends what a request had set: its own thresholds are to hold.
        """
        told = self._setting("calibration") or ""
        if self.promised.is_new(told):
            self.set_thresholds(dict.fromkeys(self._asked()))
        now, message = self.promised.news(self.classifier, self.thresholds)
        if now == told:
            return None
        log.warning("calibration: %s", message)
        event = self.commit(self.notice("calibration", message))
        self.outbox.set("calibration", now or None)
        return event

    def _setting(self, key: str) -> str | None:
        """What holds does not change because the store cannot be read now, or another took over."""
        known, store = self._settings.get(key, (None, ""))
        with suppress(StoreError):
            found = self.outbox.get(key)
            if found is None and known is not None and self.outbox.store_id != store:
                self.outbox.set(key, known)  # a damaged store gave way to a new one
                found = known
            self._settings[key] = (found, self.outbox.store_id)
            return found
        return known

    # events

    def item(
        self,
        kind: EventType,
        signal: Signal,
        sight: Sight,
        bin: str | None = None,
        actuation: Sequence[str] | None = None,
    ) -> Event:
        """An item was looked at: sorted, uncertain or, with nothing there, empty."""
        return self._decided(
            self._event(kind, signal), sight.decision, bin, actuation, sight.timing_ms
        )

    def unseen(self, signal: Signal) -> Event:
        """An item was dropped and a part failed before it was judged."""
        return self._decided(self._event(EventType.UNCERTAIN, signal), hold(Reason.FAULT))

    def resolved(
        self,
        item: Event,
        answer: Answer,
        bin: str | None = None,
        actuation: Sequence[str] | None = None,
    ) -> Event:
        """A person said what an item is; with a ``bin``, it is sorted now."""
        return replace(
            self._event(EventType.RESOLVED),
            resolves=item.event_id,
            answer=answer,
            bin=bin,
            actuation=actuation or None,
        )

    def fault(self, part: str, message: str, about: str | None = None) -> Event:
        """A part failed; ``about`` is the event whose move was cut off."""
        return replace(
            self._event(EventType.FAULT),
            decision=Action.HOLD,
            reason=Reason.FAULT,
            about=about,
            detail=Detail(part, message),
        )

    def commit(self, event: Event, sight: Sight | None = None, *, moving: bool = False) -> Event:
        """Write the event to disk; only then wake the publisher. StoreError if it can't.

        What was seen of an item is kept beside it: the network's features, and a picture
        where the configuration wants one. With ``moving``, the next start tells of it unless
        ``outbox.moved`` follows, or a fault about it.
        """
        features = None
        if sight is not None:
            event = self._with_picture(event, sight)
            features = sight.features
        kept = None if features is None else features.astype("<f2").tobytes()
        committed = self.committed(self.outbox.append(event, kept, moving=moving))
        if sight is not None and self.config.pictures.publish:
            self.publisher.announce("image/last", encode(sight.shown))
        if moving:
            self.moving = committed.event_id
        return committed

    def _with_picture(self, event: Event, sight: Sight) -> Event:
        """The event with its picture's id, which is the event's own; null where none is kept."""
        uncertain = event.event_type is EventType.UNCERTAIN
        if not self.album.wants(uncertain=uncertain):
            return event
        kept = self.album.add(event.event_id, sight.shown, uncertain=uncertain)
        return replace(event, image_id=kept)

    def committed(self, committed: Event) -> Event:
        """An event is on disk: remember it where it is of an item, and wake the publisher."""
        if committed.event_type in ITEM_EVENTS:
            self.last_item = committed
        elif committed.event_type is EventType.RESOLVED:
            self.last_answer = committed
            self.answers += 1
        elif committed.event_type is EventType.FAULT:
            self.faults += 1
        self.behind = self.config.publisher.kind != "none"
        self.publisher.wake()
        return committed

    def recall(self) -> None:
        """Remember the last item and answer of earlier runs, which dashboards go on showing, and
        what lies in each bin."""
        with suppress(StoreError):
            for event in self.outbox.span(self.outbox.last_seq() - RECALLED, RECALLED):
                if event.event_type in ITEM_EVENTS:
                    self.last_item = event
                elif event.event_type is EventType.RESOLVED:
                    self.last_answer = event
            self.levels.begin()  # last: a full disk can be read, and not written

    def notice(self, part: str, message: str) -> Event:
        """Something that people should know of, and that is no fault."""
        return replace(self._event(EventType.NOTICE), detail=Detail(part, message))

    def _event(self, kind: EventType, signal: Signal | None = None) -> Event:
        now = self.clock.now()
        return Event(
            event_id=events.new_event_id(now),
            event_type=kind,
            device_id=self.config.device.id,
            boot_id=events.boot_id(),
            ts=events.timestamp(now),
            ts_quality="synced" if is_synchronized() else "unsynced",
            uptime_ms=int(self.clock.monotonic() * 1e3),
            mode=self.mode,
            trigger=signal.source if signal else None,
            model=self.classifier.model if self.classifier else None,
        )

    def _decided(
        self,
        event: Event,
        decision: Decision,
        bin: str | None = None,
        actuation: Sequence[str] | None = None,
        timing_ms: Mapping[str, float] | None = None,
    ) -> Event:
        return replace(
            event,
            decision=decision.action,
            reason=decision.reason,
            label=decision.label,
            second=decision.second,
            top1=decision.top1,
            top2=decision.top2,
            gap=decision.gap,
            familiarity=decision.familiarity,
            scores=decision.scores,
            votes=decision.votes,
            thresholds=self.thresholds,
            bin=bin,
            actuation=actuation or None,
            timing_ms=timing_ms,
        )

    def prune(self) -> int:
        """Forget delivered events older than ``store: history_days``; how many. Once an hour.

        Without a broker, all of them. Their pictures go with them.
        """
        forgotten = 0
        if believes_clock(self.outbox):
            forgotten = self.outbox.prune(
                self.clock.now(),
                self.config.store.history_days,
                delivered=self.config.publisher.kind != "none",
            )
        else:
            self.outbox.keep_reserve()
        self.album.prune(self.outbox.missing)
        return forgotten

    # the retained topics

    def info(self) -> Payload:
        """Versions, model and its thresholds, what calibration promises, labels, bins."""
        model = self.classifier.model if self.classifier else None
        return {
            "device_id": self.config.device.id,
            "name": self.config.device.name,
            "site": self.config.device.site,
            "version": trashbin.__version__,
            "event_schema": events.SCHEMA,
            "python": platform.python_version(),
            "model": None if model is None else asdict(model),
            "model_trial": None if self.trial is None else asdict(self.trial),
            "thresholds": asdict(self.classifier.thresholds) if self.classifier else None,
            "calibration": self.promised.told(self.classifier, self.thresholds),
            "labels": list(resources.labels()),
            "bins": {name: list(entry.labels) for name, entry in self.config.bins.items()},
            "pictures": self.config.pictures.model_dump(),
            "store_id": self.outbox.store_id,
            "boot_id": events.boot_id(),
        }

    def state(
        self,
        status: Status,
        bin: str | None,
        problems: Mapping[str, str],
        waiting: Event | None = None,
    ) -> Payload:
        """What a dashboard shows: status, mode, thresholds, the last item, the counts.

        ``waiting`` is the item that is held for an answer.
        """
        local = self.clock.now().astimezone()
        return {
            "ts": events.timestamp(self.clock.now()),
            "status": status,
            "mode": self.mode,
            "bin": bin,
            "safe_mode": status is Status.FAULT,
            "problem": bool(problems),
            "problems": dict(problems),
            "thresholds": asdict(self.thresholds),
            "last": None if self.last_item is None else self.last_item.sent(),
            "waiting": None if waiting is None else waiting.sent(events.WAITING),
            "last_answer": None
            if self.last_answer is None
            else self.last_answer.sent(events.ANSWERED),
            "levels": self._read(self.levels.told),
            "counts": self._read(
                lambda: {
                    "day": local.date().isoformat(),
                    "utc_offset": local.strftime("%z"),
                    "today": self.outbox.sorted_on(local.date()),
                    "total": self.outbox.sorted_in_all(),
                }
            ),
        }

    def health(
        self, frame_age_s: float | None, problems: Mapping[str, str], restarts: int = 0
    ) -> Payload:
        """How the bin is: what an operator wants on a graph."""
        depth = self._read(self.outbox.depth)
        self.behind = depth != 0 and self.config.publisher.kind != "none"
        return {
            "ts": events.timestamp(self.clock.now()),
            "uptime_s": round(self.clock.monotonic(), 1),
            "outbox_depth": depth,
            "oldest_age_s": self._read(self._oldest_age_s),
            "store_id": self.outbox.store_id,
            "last_seq": self._read(self.outbox.last_seq),
            "last_frame_age_s": None if frame_age_s is None else round(frame_age_s, 1),
            "temperature_c": machine.temperature(),
            "throttling": machine.power(),
            "broker_problem": self.publisher.problem,
            "disk_free_mb": machine.disk_free_mb(self.config.store.path),
            "levels": self._read(self.levels.told),
            "pictures": dict(zip(("files", "bytes"), self.album.used(), strict=True)),
            "messages_dropped": self.dropped,
            "requests_refused": self.refused + self.turned_away,
            "timing_ms": None if self.last_item is None else self.last_item.timing_ms,
            "restarts": restarts,
            "faults": self.faults,
            "problems": dict(problems),
        }

    def _oldest_age_s(self) -> float | None:
        """Of the event that waits longest for the broker; None where none waits."""
        oldest = self.outbox.oldest()
        if oldest is None:
            return None
        age = self.clock.now() - datetime.fromisoformat(oldest)
        return round(max(0.0, age.total_seconds()), 1)  # the clock may have been set back

    def _read(self, figure: Callable[[], T]) -> T | None:
        """A figure from the store; None where it cannot be read, which is no zero."""
        with suppress(StoreError):
            return figure()
        return None
