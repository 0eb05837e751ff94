"""A paho client as the configuration wants it, with the bin's id and its will."""

from __future__ import annotations

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from trashbin import mqtt_access, settings
from trashbin.events import Topics

CONNECT_S = 5.0  # for TCP and TLS
RECONNECT_S = (1, 60)  # doubles from the first to the second


def new_client(section: settings.MqttPublisher, device_id: str, topics: Topics) -> Client:
    """Set up, and not yet connected. ConfigError where a file it needs cannot be used."""
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=f"trashbin-{device_id}",
        clean_session=True,
        protocol=MQTTProtocolVersion.MQTTv311,
    )
    client.will_set(topics.availability, "offline", qos=1, retain=True)
    client.connect_timeout = CONNECT_S
    client.reconnect_delay_set(*RECONNECT_S)
    mqtt_access.give(client, section)
    return client
