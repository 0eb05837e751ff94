"""An MQTT broker inside the process (amqtt), so that the demo needs no server."""

from __future__ import annotations

import asyncio
import logging
import threading
from types import TracebackType

from trashbin.address import free_port
from trashbin.errors import BrokerError

START_S = 10.0


class EmbeddedBroker:
    """Listens on a loopback port while the ``with`` block lasts; speaks MQTT 3.1.1.

    Runs on a thread of its own. Anonymous clients are let in: nothing but this
    machine can reach it.
    """

    def __init__(self) -> None:
        self.host = "127.0.0.1"
        self.port = free_port(1883)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="broker", daemon=True)

    def __enter__(self) -> EmbeddedBroker:
        """Start listening; BrokerError where amqtt is missing or the port is taken."""
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
        self._thread.start()
        settings = {
            "listeners": {"default": {"type": "tcp", "bind": f"{self.host}:{self.port}"}},
            "plugins": {
                "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}
            },
        }

        async def start() -> Broker:
            broker = Broker(settings)
            await broker.start()
            return broker

        try:
            self._broker = asyncio.run_coroutine_threadsafe(start(), self._loop).result(START_S)
        except (AMQTTError, OSError, TimeoutError) as error:
            self._end()
            raise BrokerError(
                f"the demo's broker cannot listen on port {self.port}: {error}"
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening and end the thread."""
        stopping = asyncio.run_coroutine_threadsafe(self._broker.shutdown(), self._loop)
        try:
            stopping.result(START_S)
        except TimeoutError:
            stopping.cancel()
        self._end()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_S)
        self._loop.close()
