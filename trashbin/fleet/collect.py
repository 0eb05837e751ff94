"""``trashbin collect``: every bin's events into PostgreSQL, until it is stopped."""

from __future__ import annotations

import logging
import threading

from trashbin import logs
from trashbin.clock import SystemClock
from trashbin.errors import ConfigError, ExitCode
from trashbin.fleet.collector import Collector
from trashbin.sdnotify import Notifier
from trashbin.settings import MqttPublisher

TELL_S = 60.0

log = logging.getLogger(__name__)


def main(broker: MqttPublisher, database: str) -> ExitCode:
    """Run until SIGTERM or Ctrl-C; what cannot be reached is tried again for ever.

    ConfigError where psycopg is missing, or an option makes no sense.
    """
    try:
        from trashbin.fleet.postgres import Postgres
    except ModuleNotFoundError as error:
        raise ConfigError("collect needs psycopg: pip install 'trashbin[collect]'") from error
    logs.begin()
    clock = SystemClock()
    clock.stop_on_signals()
    sink = Postgres(database)
    collector = Collector(broker, sink, clock)
    notify = Notifier()
    notify.ready()  # it waits for broker and database as long as they take
    teller = threading.Thread(target=_tell, args=(collector, clock), daemon=True)
    teller.start()
    try:
        collector.run()
    finally:
        notify.stopping()
        clock.stop()
        sink.close()
        _say(collector)
    return ExitCode.GOOD


def _tell(collector: Collector, clock: SystemClock) -> None:
    while not clock.wait(TELL_S):
        _say(collector)


def _say(collector: Collector) -> None:
    counts = collector.counts
    log.info(
        "%d events of %d bins since the start, %d questions for missing ones, %d lost, %d refused",
        *(counts.events, collector.bins, counts.asked, counts.lost, counts.refused),
    )
