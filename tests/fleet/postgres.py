"""A real PostgreSQL in a folder, which tests may kill and start again."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psycopg

from tests.support_processes import end, free_port, wait_until

WHAT_HELPS = "PostgreSQL is needed: sudo apt-get install postgresql"


def program(name: str) -> str:
    """A program of the newest PostgreSQL that Debian installed, or one on PATH."""
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda p: p.parts[4])
    found = str(places[-1]) if places else shutil.which(name)
    if not found:
        raise RuntimeError(WHAT_HELPS)
    return found


class Server:
    """Listens on a loopback port of its own. As root it runs as another user, which it demands."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="trashbin-pg-"))
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        self._data = self.folder / "data"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._run("initdb", "-N", "-D", str(self._data), "-U", "test", "-A", "trust", "-E", "UTF8")

    @property
    def url(self) -> str:
        return f"postgresql://test@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    program("postgres"),
                    *("-D", str(self._data), "-p", str(self.port)),
                    *("-h", "127.0.0.1", "-k", str(self.folder)),
                ],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                **self._user,
            )
        if not wait_until(self._answers):
            raise RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()}")

    def kill(self) -> None:
        """As a power cut does; its own processes see it and end too."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            pid_file = self._data / "postmaster.pid"
            pid_file.unlink(missing_ok=True)  # a reboot gives its number to nobody

    def remove(self) -> None:
        if self._process is not None:
            end(self._process, patience_s=1)  # it would wait for its sessions to end
        shutil.rmtree(self.folder, ignore_errors=True)

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as db:
            return db.execute(sql.encode(), values).fetchall()

    def do(self, sql: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as db:
            db.execute(sql.encode())

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [program(name), *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            **self._user,
        )
        assert done.returncode == 0, f"{name}: {done.stderr}"
