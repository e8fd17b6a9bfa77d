"""A small app with what the guard and the logins need: views, a token, a cookie, slow answers."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

PAGE = """<!doctype html>
<html lang="en"><title>Demo</title>
<nav><a data-view="dashboard" href="#">dashboard</a> <a data-view="apps" href="#">apps</a></nav>
<div id="authModal" hidden><form id="loginForm">
<input id="loginUsername"><input id="loginPassword" type="password"><button>Log in</button>
</form></div>
<main id="dashboardView" data-loaded="false" hidden><span class="user-info"></span></main>
<main id="appsView" data-loaded="false" hidden></main>
<script>
const token = () => localStorage.getItem("token");
window.Auth = { isAuthenticated: () => token() !== null };
window.AppManager = { isInitialized: false };
async function start() {
  document.querySelector("#authModal").hidden = token() !== null;
  if (!token()) return;
  const headers = { Authorization: "Bearer " + token() };
  const answer = await fetch("/api/v1/auth/me", { headers });
  if (!answer.ok) return;
  document.querySelector(".user-info").textContent = (await answer.json()).username;
  show("dashboard");
  window.AppManager.isInitialized = true;
}
function show(view) {
  for (const main of document.querySelectorAll("main")) {
    main.hidden = main.id !== view + "View";
    main.dataset.loaded = String(!main.hidden);
  }
}
document.addEventListener("click", (event) => {
  if (event.target.dataset.view) show(event.target.dataset.view);
});
document.querySelector("#loginForm").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await fetch("/api/v1/auth/login", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ username: loginUsername.value, password: loginPassword.value }),
  });
  if (answer.ok) { localStorage.setItem("token", (await answer.json()).access_token); start(); }
});
start();
</script></html>
"""


class Accounts:
    """Who may log in, and the tokens that are good."""

    def __init__(self) -> None:
        self.passwords = {"admin": "admin-secret-1"}
        self.tokens: dict[str, str] = {}

    def log_in(self, name: str, password: str) -> str | None:
        """Return a new token, or None."""
        if self.passwords.get(name) != password:
            return None
        token = f"tok-{secrets.token_hex(8)}"
        self.tokens[token] = name
        return token


async def slow(request: Request) -> Response:
    """Answer with a file that takes half a minute."""

    async def body() -> AsyncIterator[bytes]:
        for _ in range(600):
            yield b"x" * 1024
            if await request.is_disconnected():
                return
            await asyncio.sleep(0.05)

    disposition = {"Content-Disposition": 'attachment; filename="slow.bin"'}
    return StreamingResponse(body(), headers=disposition)


async def index(request: Request) -> Response:
    """Answer with the page."""
    return HTMLResponse(PAGE)


async def health(request: Request) -> Response:
    """Answer that all is well."""
    return JSONResponse({"status": "ok"})


class Users:
    """The routes that let users in, on one set of accounts."""

    def __init__(self) -> None:
        self.accounts = Accounts()

    async def register(self, request: Request) -> Response:
        body = await request.json()
        if body["username"] in self.accounts.passwords:
            return JSONResponse({"detail": "username is taken"}, 409)
        self.accounts.passwords[body["username"]] = body["password"]
        return JSONResponse({}, 201)

    async def login(self, request: Request) -> Response:
        body = await request.json()
        token = self.accounts.log_in(body["username"], body["password"])
        if token is None:
            return JSONResponse({"detail": "wrong user or password"}, 401)
        answer = JSONResponse({"access_token": token})
        answer.set_cookie("session", token)
        answer.set_cookie("csrftoken", f"csrf-{token}")
        return answer

    async def me(self, request: Request) -> Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        name = self.accounts.tokens.get(token or request.cookies.get("session", ""))
        if name is None:
            return JSONResponse({"detail": "token expired"}, 401)
        return JSONResponse({"username": name})

    async def expire(self, request: Request) -> Response:
        self.accounts.tokens.clear()
        return Response(status_code=204)


def create_app() -> Starlette:
    """Return a fresh app with nobody but the admin."""
    users = Users()
    return Starlette(
        routes=[
            Route("/", index),
            Route("/slow", slow),
            Route("/api/v1/auth/register", users.register, methods=["POST"]),
            Route("/api/v1/auth/login", users.login, methods=["POST"]),
            Route("/api/v1/auth/me", users.me),
            Route("/api/v1/auth/expire", users.expire, methods=["POST"]),
            Route("/api/v1/apps/health", health),
            Route("/health", health),
        ]
    )
