"""An MQTT broker inside the process (amqtt), so that the demo needs no server."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from trashbin.address import free_port
from trashbin.errors import BrokerError

START_S = 10.0


@contextmanager
def embedded_broker() -> Iterator[tuple[str, int]]:
    """Host and port of a broker of MQTT 3.1.1 that listens on loopback while the block lasts.

    Runs on a thread of its own. Anonymous clients are let in: nothing but this machine can
    reach it. BrokerError where amqtt is missing or the port is taken.
    """
    try:
        from amqtt.broker import Broker
        from amqtt.errors import AMQTTError
    except ModuleNotFoundError as error:
        raise BrokerError(
            "the demo's own broker needs amqtt: pip install 'trashbin[demo]', "
            "or name a broker with --broker HOST:PORT"
        ) from error
    for name in ("amqtt", "transitions"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # it reports every lost client
    host, port = "127.0.0.1", free_port(1883)
    settings = {
        "listeners": {"default": {"type": "tcp", "bind": f"{host}:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }

    async def start() -> Broker:
        broker = Broker(settings)
        await broker.start()
        return broker

    with _running_loop() as loop:
        try:
            broker = asyncio.run_coroutine_threadsafe(start(), loop).result(START_S)
        except (AMQTTError, OSError, TimeoutError) as error:
            raise BrokerError(f"the demo's broker cannot listen on port {port}: {error}") from error
        try:
            yield host, port
        finally:
            stopping = asyncio.run_coroutine_threadsafe(broker.shutdown(), loop)
            try:
                stopping.result(START_S)
            except TimeoutError:
                stopping.cancel()


@contextmanager
def _running_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that runs on a thread while the block lasts."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="broker", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(START_S)
        loop.close()
