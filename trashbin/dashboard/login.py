"""Who may see the page: a password file, sessions in memory, and a guard before everything.

On loopback nobody need be asked. The guard also keeps other sites out of a browser that can reach
the page: a foreign Origin is refused, and where nobody is asked any name but this machine's.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
import time
from collections import deque
from html import escape
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, urlencode, urlsplit

from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trashbin.dashboard import glyphs
from trashbin.dashboard.words import Words, for_whom
from trashbin.errors import ConfigError

OPEN = ("/look/style.css", "/favicon.ico")  # what the form itself needs
COOKIE = "trashbin-page"
SESSION_S = 12 * 3600
MAX_SESSIONS = 1000
TRIES, WINDOW_S = 10, 60.0  # wrong passwords in a minute from one address
MOST_TRIES = 100  # and from all: each costs a hash
MAX_FORM = 4096
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
# scrypt: 16 MB and some 50 ms a try
COST, BLOCK, LANES = 2**14, 8, 1
FORM = "scrypt"


def hashed(password: str) -> str:
    """One line for the password file."""
    salt = secrets.token_bytes(16)
    return f"{FORM}${COST}${BLOCK}${LANES}${salt.hex()}${_digest(password, salt).hex()}"


def _digest(
    password: str, salt: bytes, cost: int = COST, block: int = BLOCK, lanes: int = LANES
) -> bytes:
    return hashlib.scrypt(
        password.encode(), salt=salt, n=cost, r=block, p=lanes, maxmem=256 * 2**20, dklen=32
    )


class Password:
    """What a file made by ``--set-password`` holds. ConfigError where it holds something else."""

    def __init__(self, file: Path) -> None:
        advice = f"make it with: trashbin dashboard --set-password {file}"
        try:
            text = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"--login {file} cannot be read: {error}; {advice}") from error
        try:
            form, cost, block, lanes, salt, digest = text.split("$")
            if form != FORM:
                raise ValueError
            self._numbers = int(cost), int(block), int(lanes)
            self._salt, self._digest = bytes.fromhex(salt), bytes.fromhex(digest)
            if len(self._digest) != len(_digest("", self._salt, *self._numbers)):
                raise ValueError  # cut short: no password would ever fit
        except (ValueError, MemoryError) as error:
            raise ConfigError(f"--login {file} holds no hashed password; {advice}") from error

    def fits(self, password: str) -> bool:
        """True for the right one, in the same time for every other."""
        return hmac.compare_digest(_digest(password, self._salt, *self._numbers), self._digest)


class Guard:
    """ASGI middleware: lets nothing through that it does not know, websockets included."""

    def __init__(self, app: ASGIApp, password: Password | None, host: str) -> None:
        self._app = app
        self._password = password
        # with a password, a proxy before us may go by any name: another's has no session
        self._local = host in LOOPBACK and password is None
        self._sessions: dict[str, asyncio.Future[None]] = {}  # token -> done at the session's end
        self._failures: deque[tuple[str, float]] = deque(maxlen=MOST_TRIES)  # address, when

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer instead."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request = HTTPConnection(scope)
        refusal = self._foreign(request)
        if refusal is None and self._password is not None:
            refusal = await self._unknown(request, receive, self._password)
        if refusal is None:
            over = self._sessions.get(request.cookies.get(COOKIE, ""))
            if scope["type"] == "websocket" and over is not None:
                receive, send = _until(over, receive, send)
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await refusal(scope, receive, send)

    def _foreign(self, request: HTTPConnection) -> Response | None:
        """What another site's page makes a browser send."""
        host = request.headers.get("host", "")
        if self._local and _parts(f"//{host}").hostname not in LOOPBACK:
            # a name that was made to point here
            return PlainTextResponse("This page listens to this machine alone.\n", 421)
        origin = request.headers.get("origin")
        changes = request["type"] == "websocket" or request["method"] not in ("GET", "HEAD")
        if changes and origin is not None and _parts(origin).netloc != host:
            return PlainTextResponse("Another site may not use this page.\n", 403)
        return None

    async def _unknown(
        self, request: HTTPConnection, receive: Receive, password: Password
    ) -> Response | None:
        """The login page for who has no session; None for who has."""
        token = request.cookies.get(COOKIE, "")
        known = token in self._sessions
        path, query = request["path"], request.get("query_string", b"").decode("latin-1")
        words = for_whom(request)
        if path == "/logout":
            self._end(token)
            gone = RedirectResponse("/login", 303)
            gone.delete_cookie(COOKIE)
            return gone
        if path == "/login" and request["type"] == "http":
            if request["method"] == "POST":
                return await self._log_in(Request(request.scope, receive), words, password)
            return RedirectResponse(_wanted(query), 303) if known else _form(words)
        if known or path in OPEN:
            return None
        if (
            request["type"] == "http"
            and request["method"] == "GET"
            and "text/html" in request.headers.get("accept", "")
        ):
            return RedirectResponse(_login(path, query), 303)
        return PlainTextResponse("Log in first.\n", 401)

    async def _log_in(self, request: Request, words: Words, password: Password) -> Response:
        body = bytearray()
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_FORM:
                    return _form(words, words("login_wrong"), 413)
        except ClientDisconnect:  # nobody waits for an answer
            return _form(words, status=400)
        now = time.monotonic()  # counted once the body is there: many may wait for theirs
        address = request.client.host if request.client else ""
        recent = [by for by, at in self._failures if now - at < WINDOW_S]
        if recent.count(address) >= TRIES or len(recent) == MOST_TRIES:
            return _form(words, words("login_slow"), 429)
        given = parse_qs(bytes(body).decode(errors="replace")).get("password", [""])[0]
        if not password.fits(given):
            self._failures.append((address, now))
            return _form(words, words("login_wrong"), 403)
        while len(self._sessions) >= MAX_SESSIONS:
            self._end(next(iter(self._sessions)))
        token = secrets.token_urlsafe(32)
        loop = asyncio.get_running_loop()
        self._sessions[token] = loop.create_future()
        loop.call_later(SESSION_S, self._end, token)
        answer = RedirectResponse(_wanted(request.url.query), 303)
        secure = request.url.scheme == "https"
        answer.set_cookie(
            COOKIE, token, max_age=SESSION_S, httponly=True, samesite="strict", secure=secure
        )
        return answer

    def _end(self, token: str) -> None:
        """Forget a session; the pages that it has open lose their sockets."""
        over = self._sessions.pop(token, None)
        if over is not None:
            over.set_result(None)


def _login(path: str, query: str) -> str:
    """Where to log in on the way to an address."""
    address = f"{path}?{query}" if query else path
    return "/login" if address == "/" else f"/login?{urlencode({'to': address})}"


def _wanted(query: str) -> str:
    """Where somebody was going who was sent to the login; no other site's address."""
    to = parse_qs(query).get("to", ["/"])[0]
    # browsers take a backslash for a slash, and leave out line breaks
    return to if re.fullmatch(r"/(?![/\\])[^\s\\]*", to) else "/"


def _parts(address: str) -> SplitResult:
    """Of an address that may be none: then it is nobody's."""
    try:
        return urlsplit(address)
    except ValueError:  # such as http://[
        return urlsplit("")


def _until(over: asyncio.Future[None], receive: Receive, send: Send) -> tuple[Receive, Send]:
    """A socket's two ends while the session lasts; then it is closed, and nothing passes."""

    async def hear() -> Message:
        heard = asyncio.ensure_future(receive())
        try:
            await asyncio.wait((heard, over), return_when=asyncio.FIRST_COMPLETED)
        finally:
            heard.cancel()
        if not over.done():
            return heard.result()
        await send({"type": "websocket.close", "code": 1008})
        return {"type": "websocket.disconnect", "code": 1008}

    async def tell(message: Message) -> None:
        if not over.done():
            await send(message)

    return hear, tell


def _form(words: Words, wrong: str = "", status: int = 200) -> HTMLResponse:
    """A page of its own, without a script."""
    told = f'<p class="error" role="alert">{escape(wrong)}</p>' if wrong else ""
    return HTMLResponse(
        f'<!doctype html><html lang="{words.language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(words('login'))} · {escape(words('title'))}</title>"
        '<link rel="stylesheet" href="/look/style.css"></head><body class="login"><main>'
        f'<form method="post" class="card stack"><h1>{glyphs.of("trash")} '
        f"{escape(words('title'))}</h1>{told}"
        f'<label for="password">{escape(words("password"))}</label>'
        '<input id="password" type="password" name="password" required autofocus '
        f'autocomplete="current-password"><button class="plain">{escape(words("login"))}</button>'
        "</form></main></body></html>",
        status,
        {"cache-control": "no-store"},
    )
