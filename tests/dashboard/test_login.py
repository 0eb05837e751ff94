"""Who is let in: nobody without the password, and no other site's page."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.support_cli import spawn
from trashbin.dashboard import login
from trashbin.dashboard.login import TRIES, Guard, Password, hashed
from trashbin.errors import ConfigError

SOCKET = "ws://192.0.2.7:8080/ws"
OPEN_SOCKET = "ws://192.0.2.7:8080/stay"


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("in")
    await socket.close()


async def stay(socket: WebSocket) -> None:
    await socket.accept()
    await asyncio.wait([asyncio.ensure_future(socket.receive())], timeout=10)
    await socket.send_text("still open")


async def secret(request: object) -> PlainTextResponse:
    return PlainTextResponse("the page")


def guarded(password: Password | None, host: str) -> Guard:
    routes = [
        Route("/", secret, methods=["GET", "POST"]),
        WebSocketRoute("/ws", echo),
        WebSocketRoute("/stay", stay),
    ]
    return Guard(Starlette(routes=routes), password, host)


def site(guard: Guard, host: str) -> TestClient:
    return TestClient(guard, base_url=f"http://{host}:8080", follow_redirects=False)


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    file = tmp_path / "password"
    file.write_text(hashed("open sesame") + "\n")
    return guarded(Password(file), "192.0.2.7")


@pytest.fixture
def locked(guard: Guard) -> TestClient:
    return site(guard, "192.0.2.7")


def test_without_a_session_there_is_only_the_login_page(locked: TestClient) -> None:
    answer = locked.get("/", headers={"accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert locked.get("/events.csv").status_code == 401
    with pytest.raises(WebSocketDisconnect), locked.websocket_connect(SOCKET):
        pass
    assert 'type="password"' in locked.get("/login").text


def test_the_password_opens_and_logout_closes(locked: TestClient) -> None:
    assert locked.post("/login", data={"password": "sesame open"}).status_code == 403
    answer = locked.post("/login", data={"password": "open sesame"})
    assert answer.status_code == 303
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert locked.get("/").text == "the page"
    with locked.websocket_connect(SOCKET) as socket:
        assert socket.receive_text() == "in"
    cookies = dict(locked.cookies)
    locked.get("/logout")
    assert locked.get("/", cookies=cookies).status_code == 401


def test_a_login_leads_on_to_where_one_was_going(locked: TestClient) -> None:
    sent = locked.get("/events?kind=sorted&q=a%20b&bin=hall", headers={"accept": "text/html"})
    form = sent.headers["location"]
    assert form.startswith("/login?")
    for password in ("sesame open", "open sesame"):
        answer = locked.post(form, data={"password": password})
    assert answer.headers["location"] == "/events?kind=sorted&q=a%20b&bin=hall"
    assert locked.get(form).headers["location"] == answer.headers["location"]


@pytest.mark.parametrize(
    "to",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "/\t/evil.example", "", "x"],
)
def test_a_login_leads_to_no_other_site(locked: TestClient, to: str) -> None:
    answer = locked.post("/login", params={"to": to}, data={"password": "open sesame"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_logout_closes_what_is_open(locked: TestClient) -> None:
    with locked:  # one event loop for all
        locked.post("/login", data={"password": "open sesame"})
        with (
            locked.websocket_connect(OPEN_SOCKET) as socket,
            pytest.raises(WebSocketDisconnect) as closed,
        ):
            locked.get("/logout")
            socket.receive_text()
        assert closed.value.code == 1008


def test_no_socket_outlives_its_session(
    locked: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    due: list[Callable[[], None]] = []
    call_later = asyncio.BaseEventLoop.call_later

    def later(loop: Any, delay: float, call: Any, *given: Any, **keys: Any) -> Any:
        if delay != login.SESSION_S:
            return call_later(loop, delay, call, *given, **keys)
        return due.append(partial(call, *given))  # the session ends when this test says so

    monkeypatch.setattr(asyncio.BaseEventLoop, "call_later", later)
    with locked:
        locked.post("/login", data={"password": "open sesame"})
        cookies = dict(locked.cookies)
        with (
            locked.websocket_connect(OPEN_SOCKET) as socket,
            pytest.raises(WebSocketDisconnect) as closed,
        ):
            (end,) = due
            assert locked.portal is not None
            locked.portal.call(end)
            socket.receive_text()
        assert closed.value.code == 1008
        assert locked.get("/", cookies=cookies).status_code == 401


def test_another_programs_cookie_on_this_host_is_no_hindrance(locked: TestClient) -> None:
    locked.post("/login", data={"password": "open sesame"})
    (name, token), *_ = locked.cookies.items()
    odd = 'prefs={"a": [1,2]}'  # as Chromium sends it; cookies know no port
    assert locked.get("/", headers={"cookie": f"{odd}; {name}={token}"}).text == "the page"


def test_guessing_is_slowed_down(locked: TestClient) -> None:
    for _ in range(TRIES):
        locked.post("/login", data={"password": "guess"})
    assert locked.post("/login", data={"password": "open sesame"}).status_code == 429


def test_who_guesses_locks_out_nobody_else_until_many_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login, "TRIES", 2)
    monkeypatch.setattr(login, "MOST_TRIES", 5)
    (tmp_path / "password").write_text(hashed("open sesame"))
    guard = guarded(Password(tmp_path / "password"), "192.0.2.7")

    def says(address: str, password: str) -> int:
        with TestClient(guard, client=(address, 50000)) as client:
            answer = client.post("/login", data={"password": password}, follow_redirects=False)
        return answer.status_code

    for _ in range(2):
        says("192.0.2.1", "guess")
    assert (says("192.0.2.1", "open sesame"), says("192.0.2.2", "open sesame")) == (429, 303)
    for other in (3, 4, 5):
        assert says(f"192.0.2.{other}", "guess") == 403
    assert says("192.0.2.2", "open sesame") == 429


def test_guesses_at_once_are_slowed_down_though_their_bodies_come_late(guard: Guard) -> None:
    async def guesses() -> Counter[int]:
        asked = asyncio.Barrier(2 * TRIES)

        async def late() -> AsyncIterator[bytes]:
            await asked.wait()
            yield b"password=guess"

        transport = httpx.ASGITransport(guard)
        async with httpx.AsyncClient(transport=transport, base_url="http://192.0.2.7") as client:
            tries = [client.post("/login", content=late()) for _ in range(2 * TRIES)]
            return Counter(answer.status_code for answer in await asyncio.gather(*tries))

    assert asyncio.run(guesses()) == {403: TRIES, 429: TRIES}


def test_another_site_is_refused_on_loopback_too() -> None:
    here = site(guarded(None, "127.0.0.1"), "127.0.0.1")
    assert here.get("/").text == "the page"
    assert here.post("/", headers={"origin": "http://127.0.0.1:8080"}).status_code == 200
    assert here.post("/", headers={"origin": "http://evil.example"}).status_code == 403
    assert here.get("/", headers={"host": "rebound.example"}).status_code == 421
    address = "ws://127.0.0.1:8080/ws"
    with here.websocket_connect(address, headers={"origin": "http://127.0.0.1:8080"}) as socket:
        assert socket.receive_text() == "in"
    evil = {"origin": "http://evil.example"}
    with pytest.raises(WebSocketDisconnect), here.websocket_connect(address, headers=evil):
        pass


def test_a_proxy_on_this_machine_may_have_a_name_where_a_password_is_asked(guard: Guard) -> None:
    client = site(guarded(guard._password, "127.0.0.1"), "bins.example")
    assert client.get("/").status_code == 401
    origin = {"origin": "http://bins.example:8080"}
    answer = client.post("/login", data={"password": "open sesame"}, headers=origin)
    assert answer.status_code == 303
    assert client.get("/").text == "the page"


@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.7"])
def test_an_address_that_is_none_is_nobodys(host: str) -> None:
    """What scanners send: it ended in a traceback."""
    client = site(guarded(None, host), host)
    refused = {"127.0.0.1": 421, "192.0.2.7": 200}
    for odd in ("[", "[127.0.0.1"):
        assert client.get("/", headers={"host": odd}).status_code == refused[host]
    assert client.post("/", headers={"origin": "http://["}).status_code == 403


def test_a_login_that_breaks_off_leaves_no_traceback(guard: Guard) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/login", "headers": []}
    asyncio.run(guard(scope, receive, send))
    assert sent[0]["status"] == 400


def test_the_file_holds_no_password_in_plain(tmp_path: Path) -> None:
    assert "sesame" not in hashed("sesame")
    assert hashed("sesame") != hashed("sesame")  # salted
    plain = tmp_path / "plain"
    plain.write_text("sesame\n")
    with pytest.raises(ConfigError, match="--set-password"):
        Password(plain)
    with pytest.raises(ConfigError, match="--set-password"):
        Password(tmp_path / "nowhere")


def test_without_a_terminal_it_is_said_in_words_that_a_password_may_be_seen(
    tmp_path: Path,
) -> None:
    made = tmp_path / "page.password"
    given = {"input": "sesame\nsesame\n", "start_new_session": True}
    done = spawn("dashboard", "--set-password", made, **given)
    assert done.returncode == 0 and "may be echoed" in done.stderr
    assert ".py" not in done.stderr, "where in which library"
    assert Password(made).fits("sesame")


@pytest.mark.parametrize("kept", [-1, -2, -20, 0])
def test_a_file_that_was_cut_short_is_told_and_not_a_page_that_lets_nobody_in(
    kept: int, tmp_path: Path
) -> None:
    cut = tmp_path / "cut"
    cut.write_text(hashed("sesame")[:kept])
    with pytest.raises(ConfigError, match="--set-password"):
        Password(cut)
