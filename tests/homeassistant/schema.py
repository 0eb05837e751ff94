"""Run by Home Assistant's Python: does its MQTT integration allow the message on standard input?"""

import asyncio
import importlib
import json
import sys
from typing import Any

from homeassistant.components.mqtt import device_trigger
from homeassistant.components.mqtt.schemas import DEVICE_DISCOVERY_SCHEMA, SHARED_OPTIONS
from homeassistant.core import HomeAssistant
from homeassistant.helpers import frame


def check(message: dict[str, Any]) -> None:
    """Fails with what is not allowed, or not known."""
    DEVICE_DISCOVERY_SCHEMA(message)
    for key, component in message["components"].items():
        platform = component.pop("platform")
        if not component:
            continue
        whole = {name: message[name] for name in {*SHARED_OPTIONS} & set(message)} | component
        whole |= {"device": message["device"], "origin": message["origin"]}
        if platform == "device_automation":
            schema = device_trigger.TRIGGER_DISCOVERY_SCHEMA
        else:
            room = importlib.import_module(f"homeassistant.components.mqtt.{platform}")
            schema = room.DISCOVERY_SCHEMA
        lost = set(component) - set(schema(whole))
        # its name from Home Assistant 2025.10 on, which this one leaves out
        assert lost <= {"default_entity_id"}, f"{key}: unknown to Home Assistant: {lost}"


async def main() -> None:
    """Templates are checked by a Home Assistant, which runs nothing here."""
    frame.async_setup(HomeAssistant("/nonexistent"))
    check(json.load(sys.stdin))


asyncio.run(main())
