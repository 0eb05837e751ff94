"""A plugin of pytest's: what has a limit on any board may take twenty times as long emulated."""

from trashbin.model import trial

trial.LIMIT_S *= 20
