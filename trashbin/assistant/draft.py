"""The file that setup leaves: what it holds now, what comes of it with the answers, its place."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from trashbin import config as configuration
from trashbin import whole_file
from trashbin.assistant import parts, plan
from trashbin.assistant.plan import Plan
from trashbin.doctor.machine import CREDENTIAL, SYSTEM_CONFIG, nearest
from trashbin.settings import Config

CREDENTIAL_AT_WORK = "/run/credentials/trashbin.service/trashbin.mqtt-password"


class Draft:
    """A configuration in the making: ``plan`` is what the file says, until it is answered anew."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.password: str | None = None  # to be put in its place with the file
        self.afresh = False  # the file is laid out so that it can't be changed in place
        self.before = configuration.load(file).config  # None: there is none, or not a sound one
        if self.before is None:
            self.plan = Plan(id=plan.default_id(), host=plan.default_host())
        else:
            self.plan = plan.of(self.before)
            self._text_before = file.read_text(encoding="utf-8")

    def text(self) -> str:
        """The file as the plan would have it: the one that is there, changed, or a new one."""
        if self.before is not None:
            keep_bins = self.plan.has_bins_of(plan.of(self.before))
            try:
                return self.plan.written(self._text_before, keep_bins=keep_bins)
            except KeyError:
                self.afresh = True
        return self.plan.written(before=self.before)

    def config(self) -> Config:
        """The configuration that the file would be. ConfigError where it has mistakes."""
        return parts.as_config(self.text(), self.file.absolute().parent)

    def password_file(self, at_work: bool = True) -> Path:
        """Where the password lies; under systemd the bin sees it in another place."""
        if self.file == SYSTEM_CONFIG:
            return Path(CREDENTIAL_AT_WORK) if at_work else "/" / CREDENTIAL
        return self.file.absolute().with_name("mqtt-password")

    def write(self) -> Path | None:
        """Put file and password in their places; where the old file is kept, if there was one."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        if self.password is not None:
            _put_secret(self.password_file(at_work=False), self.password)
        return put(self.file, self.text())


def closed(file: Path) -> Path | None:
    """The folder that keeps the file from being written; None where none does."""
    folder = nearest(file.absolute().parent)
    return None if os.access(folder, os.W_OK | os.X_OK) else folder


def put(file: Path, text: str) -> Path | None:
    """Write a file whole or not at all; where what was there before is kept, if anything was."""
    kept = file.with_name(f"{file.name}.{datetime.now():%Y%m%dT%H%M%S}") if file.exists() else None
    try:
        if kept is not None:
            kept.write_bytes(file.read_bytes())
        whole_file.write(file, text, 0o644)
    except OSError:
        if kept is not None:
            kept.unlink(missing_ok=True)
        raise
    return kept


def _put_secret(file: Path, secret: str) -> None:
    """Write a password where its owner alone may read it."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    whole_file.write(file, f"{secret}\n", 0o600)
