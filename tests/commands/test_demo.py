"""The demo as a person starts it: the page comes up beside it, and goes with it."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from rich.console import Console

from tests.support_processes import Listener, as_from_a_terminal, running
from trashbin.demo import _write, draws
from trashbin.errors import ConfigError

DEMO = [sys.executable, "-m", "trashbin", "demo"]
SAYS = "The page is at "


def started(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    without_screen = {key: value for key, value in os.environ.items() if "DISPLAY" not in key}
    return subprocess.Popen(
        [*DEMO, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=without_screen | environment,
        start_new_session=True,
        preexec_fn=as_from_a_terminal,
    )


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGHUP])
def test_the_page_stands_at_a_printed_address_until_ctrl_c_or_the_terminal_is_closed(
    tmp_path: Path, told: signal.Signals
) -> None:
    with started(TMPDIR=str(tmp_path)) as demo:
        assert demo.stdout is not None
        said = next(line for line in demo.stdout if "page" in line)
        assert said.startswith(SAYS)
        address = said.removeprefix(SAYS).strip()
        with urlopen(address) as answer:
            assert answer.status == 200
        os.killpg(demo.pid, told)  # as a terminal does
        demo.communicate(timeout=30)
        assert demo.returncode == 0
        assert not list(tmp_path.iterdir())
        with pytest.raises(URLError):
            urlopen(address)


def test_without_a_page_it_ends_by_itself_and_leaves_no_bin_at_somebodys_broker(
    tmp_path: Path,
) -> None:
    with running(tmp_path, "allow_anonymous true") as broker:
        listener = Listener(broker, "#")
        at = f"127.0.0.1:{broker.port}"
        with started("--items", "1", "--no-page", "--broker", at) as demo:
            said, _ = demo.communicate(timeout=60)
        assert demo.returncode == 0
        assert "1 item:" in said and f"reached the broker at {at}" in " ".join(said.split())
        assert SAYS not in said
        late = Listener(broker, "#")
        late.send("mark", b"")  # comes after everything that was kept
        assert late.wait_for("mark", b"") and listener.wait_for("mark", b"")
        late.close()
        assert listener.on("homeassistant/device/demo/config") and listener.events()
        listener.close()
    assert [message.topic for message in late.seen] == ["mark"]


def test_a_picture_that_cannot_be_written_or_was_not_drawn_is_told_in_words(
    tmp_path: Path,
) -> None:
    console = Console(file=io.StringIO())
    folder = tmp_path / "folder.svg"
    folder.mkdir()
    with pytest.raises(ConfigError, match=r"folder\.svg: cannot be written \(Is a directory\)"):
        _write(folder, "<svg/>", console)
    file = tmp_path / "demo.svg"
    _write(file, "<svg/>", console)
    _write(file, None, console)  # an older one is not taken for this run's
    assert file.read_text() == "<svg/>"
    assert "Nothing was sorted, so there is no new picture" in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("terminal", "term", "encoding", "wanted"),
    [
        (True, "xterm", "utf-8", True),
        (True, "dumb", "utf-8", False),
        (True, "xterm", "iso8859-1", False),
        (False, "xterm", "utf-8", False),
    ],
)
def test_a_terminal_that_cannot_show_the_screen_gets_lines(
    terminal: bool, term: str, encoding: str, wanted: bool
) -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=file, force_terminal=terminal, _environ={"TERM": term})
    assert draws(console) is wanted
