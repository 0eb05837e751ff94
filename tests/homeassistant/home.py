"""A real Home Assistant as a process, asked over its REST API; it is told of the broker alone."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.support_processes import Broker, free_port

ROOT = Path(__file__).resolve().parents[2]
HASS = ROOT / ".venv-ha" / "bin" / "hass"
SHIPPED = ROOT / "config" / "homeassistant"
OTHERS = {
    "bin_1": "demo",
    "bin-1": "demo",
    "mobile_app_phone": "persistent_notification",
}
CLIENT = "home"  # its id in the broker's log
START_S = 120.0
CREATED = "2026-01-01T00:00:00+00:00"
KEY = "0" * 128  # signs the one token of a server that lives for a test, on loopback

CONFIGURATION = """\
homeassistant:
  name: School
  time_zone: UTC
http:
  server_host: 127.0.0.1
  server_port: {port}
api:
config:
frontend:
history:
recorder:
  commit_interval: 1
persistent_notification:
automation: !include automations.yaml
logger:
  default: warning
lovelace:
  dashboards:
    trash-bins:
      mode: yaml
      title: Bins
      icon: mdi:delete-variant
      filename: dashboard.yaml
"""


class Home:
    """``kill`` takes it away as a power cut does, ``start`` brings it back on the same folder."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.token = _token()
        self.log = folder / "hass.log"
        self.process: subprocess.Popen[bytes] | None = None
        (folder / ".storage").mkdir(parents=True)
        (folder / "configuration.yaml").write_text(CONFIGURATION.format(port=self.port))
        for name in ("dashboard.yaml", "automations.yaml"):  # as shipped, for the demo's bin
            text = (SHIPPED / name).read_text()
            for ours, theirs in OTHERS.items():
                text = text.replace(ours, theirs)
            (folder / name).write_text(text)
        for name, (version, minor, data) in _storage(broker).items():
            stored = {"version": version, "minor_version": minor, "key": name, "data": data}
            (folder / ".storage" / name).write_text(json.dumps(stored))

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(HASS), "-c", str(self.folder), "--skip-pip"],
                stdout=log,
                stderr=log,
                env=os.environ | {"PYTHONPATH": ""},
            )

    def wait_running(self) -> None:
        """Until it answers and says that it runs."""
        deadline = time.monotonic() + START_S
        while not self._runs():
            assert self.process is not None and self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)

    def _runs(self) -> bool:
        try:
            return bool(self.ask("/api/config")["state"] == "RUNNING")
        except OSError:
            return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def ask(self, path: str, data: Any = None) -> Any:
        """GET, or POST where there is data."""
        request = urllib.request.Request(
            self.url + path,
            None if data is None else json.dumps(data).encode(),
            {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            body = response.read()
            kind = response.headers.get_content_type()
        return json.loads(body) if kind == "application/json" else body.decode()

    def states(self) -> dict[str, dict[str, Any]]:
        """Entity id -> state and attributes, of everything that came by MQTT."""
        try:
            listed = self.ask("/api/states")
        except OSError:  # it starts, or ends
            return {}
        return {one["entity_id"]: one for one in listed if ".trashbin_" in one["entity_id"]}

    def state(self, entity: str) -> str | None:
        found = self.states().get(entity)
        return None if found is None else str(found["state"])

    def call(self, service: str, entity: str, **data: Any) -> None:
        """Do what a person does in its dashboards."""
        domain, _, name = service.partition(".")
        self.ask(f"/api/services/{domain}/{name}", {"entity_id": entity, **data})

    def render(self, template: str) -> str:
        return str(self.ask("/api/template", {"template": template}))

    def automate(self, name: str, automation: dict[str, Any]) -> None:
        self.ask(f"/api/config/automation/config/{name}", automation)


def _storage(broker: Broker) -> dict[str, tuple[int, int, dict[str, Any]]]:
    """What its set-up would have written: an owner with a token, and where the broker is."""
    user = {
        "id": "owner",
        "group_ids": ["system-admin"],
        "is_owner": True,
        "is_active": True,
        "name": "Owner",
        "system_generated": False,
        "local_only": False,
    }
    token = {
        "id": "token",
        "user_id": "owner",
        "client_id": None,
        "client_name": "tests",
        "client_icon": None,
        "token_type": "long_lived_access_token",
        "created_at": CREATED,
        "access_token_expiration": 315360000.0,
        "token": "0" * 128,
        "jwt_key": KEY,
        "last_used_at": None,
        "last_used_ip": None,
        "expire_at": None,
        "credential_id": None,
        "version": None,
    }
    mqtt = {
        "created_at": CREATED,
        "modified_at": CREATED,
        "data": {"broker": "127.0.0.1", "port": broker.port, "client_id": CLIENT},
        "disabled_by": None,
        "discovery_keys": {},
        "domain": "mqtt",
        "entry_id": "mqtt",
        "minor_version": 2,
        "options": {},
        "pref_disable_new_entities": False,
        "pref_disable_polling": False,
        "source": "user",
        "subentries": [],
        "title": "broker",
        "unique_id": None,
        "version": 1,
    }
    done = {"done": ["user", "core_config", "analytics", "integration"]}
    auth = {
        "users": [user],
        "groups": [{"id": "system-admin", "name": "Administrators"}],
        "credentials": [],
        "refresh_tokens": [token],
    }
    return {
        "auth": (1, 1, auth),
        "onboarding": (4, 1, done),
        "core.config_entries": (1, 5, {"entries": [mqtt]}),
    }


def _token() -> str:
    """The access token that belongs to the stored one: a JWT signed with its key."""
    now = int(time.time())
    claims = {"iss": "token", "iat": now, "exp": now + 86400}
    parts = [
        _base64(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)
    ]
    signed = hmac.new(KEY.encode(), ".".join(parts).encode(), hashlib.sha256).digest()
    return ".".join([*parts, _base64(signed)])


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
