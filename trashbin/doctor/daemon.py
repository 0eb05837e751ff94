"""A bin at work: is the daemon running, what does it say of itself, what does its store tell?"""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from trashbin import database
from trashbin.doctor.machine import Host
from trashbin.doctor.network import Heard
from trashbin.doctor.report import Finding, good, stopped, unreachable, warning
from trashbin.errors import NewerStoreError, NoStoreError, OlderStoreError, StoreError

SUDO = "Run it with sudo: sudo trashbin doctor"


def runs(store: Path, host: Host) -> bool | None:
    """Does a daemon hold this store? None where that cannot be found out.

    The lock tells; where it may not even be opened, systemd does. Nothing is created.
    """
    try:
        with (store / "lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False  # no daemon ever used it
    except OSError:
        if not host.has_systemd:
            return None
        state = host.activity()
        return None if state is None else state in ("active", "activating", "deactivating")
    return False


def asked(heard: Heard) -> Iterator[Finding]:
    """What the running daemon says of its parts; the doctor left the devices to it."""
    state, problems = heard.state, heard.state.get("problems") or {}
    if not heard.selftest and not state:
        yield warning(
            "daemon",
            "runs, and could not be asked",
            "It holds camera and pins, so they were left alone and not tested.",
            "To test them: sudo systemctl stop trashbin; sudo trashbin doctor;"
            " sudo systemctl start trashbin",
        )
        return
    told = f"runs; {state.get('status', 'at work')}, mode {state.get('mode', 'unknown')}"
    yield good("daemon", told, "It holds camera and pins; the doctor asked it, and opened neither.")
    for part, word in (heard.selftest or problems).items():
        if word == "good":
            yield good(part, "good, says the running bin", "It was tried just now.")
        elif part == "stop" and "cannot be" not in word:
            yield stopped(f"{word} (so says the running bin)")
        else:
            yield unreachable(
                part,
                f"{word}",
                "So says the running bin.",
                "See Troubleshooting in the README, and journalctl -u trashbin -n 30.",
            )


def store(folder: Path) -> Finding:
    """Is the event store sound, and does the broker have what is in it?"""
    file = folder / database.NAME
    if blocked := database.in_the_way(file):
        return unreachable(
            "store",
            blocked,
            "Events cannot be kept, so nothing is sorted.",
            "Put this right, or name another folder with store: path.",
        )
    try:
        with closing(database.opened_to_read(file)) as db, database.told(file):
            (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
            (count, last), (waiting,) = (
                db.execute("SELECT count(*), max(ts) FROM event").fetchone(),
                db.execute("SELECT count(*) FROM pending").fetchone(),
            )
            (damaged,) = db.execute("SELECT count(*) FROM damaged").fetchone()
    except NoStoreError:
        return good("store", f"none in {folder} yet", "The daemon makes it when it starts.")
    except OlderStoreError as error:
        return warning(
            "store",
            str(error),
            "Its events are there; until then nothing else reads them.",
            "Start the daemon: it brings the store up to date.",
        )
    except NewerStoreError as error:
        return unreachable(
            "store",
            str(error),
            "Events cannot be kept, so nothing is sorted.",
            "Update this trashbin; or move the file away, and a new store begins.",
        )
    except StoreError as error:
        if isinstance(error.__cause__, PermissionError | sqlite3.OperationalError):
            return _unreadable(file)
        return unreachable(
            "store",
            str(error),
            "Events cannot be kept, so nothing is sorted.",
            "Start the daemon: it sets a damaged store aside and begins a new one.",
        )
    told = f"{count} events, {waiting} not delivered yet" + (f", last {last}" if last else "")
    if verdict != "ok" or damaged:
        return warning(
            "store",
            f"{told}; {damaged} damaged" + ("" if verdict == "ok" else f"; {verdict}"),
            "The card altered what was written: it may be wearing out.",
            "Copy what you need (trashbin events --csv), and change the card.",
        )
    return good("store", told, "Events are kept.")


def _unreadable(file: Path) -> Finding:
    return warning("store", f"{file} may not be read", "It was not looked at.", SUDO)
