"""Logged in, and proven so: named layers between a storage state and a page that can be used."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from pytest_proxmox.browser.lives import life_of
from pytest_proxmox.browser.logins import Account, Adapter, BearerLogin, Login, origin_of
from pytest_proxmox.browser.redaction import Redactor
from pytest_proxmox.clock import Clock, SystemClock
from pytest_proxmox.errors import AuthFailed, PageClosedError, UserMistake

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

_Value = TypeVar("_Value")
USER, ADMIN = "user", "admin"
_QUIET = "quiet"  # stands in a layer's place of an expression: counted here, not in the page
_ENTER = """(([origin, kept]) => {
  if (location.origin !== origin || window !== window.top) return;
  localStorage.clear();
  sessionStorage.clear();
  for (const [name, value] of Object.entries(kept)) localStorage.setItem(name, value);
})([%s, %s])"""
_FIRST_LOOK_MS = 1500
_FIRST_LOOK = """(async (limit, checks) => {
  const took = [], end = performance.now() + limit;
  for (const check of checks) {
    const began = performance.now();
    while (!(await check())) {
      if (performance.now() > end) return took;
      await new Promise((later) => setTimeout(later, 10));
    }
    took.push(performance.now() - began);
  }
  return took;
})(%d, [%s])"""
_SHOWN = 400  # characters of evidence
_VISIBLE = (
    "(s => {{ const e = document.querySelector(s); return !!e && e.checkVisibility(); }})({})"
)


@dataclass(frozen=True, slots=True)
class Layer:
    """One thing that must be true of a page that is logged in.

    ``check`` is a JavaScript expression, which may be a promise; ``evidence`` another one, that
    tells what is there instead. A layer that is not ``required`` costs at most its time.
    """

    name: str
    check: str
    evidence: str = "null"
    required: bool = True
    timeout_s: float = 5.0


def visible(selector: str) -> str:
    """Return the check that an element is there and can be seen."""
    return _VISIBLE.format(json.dumps(selector))


def seven_layers(
    *,
    storage_key: str = "token",
    modal: str = "#authModal",
    dashboard: str = "#dashboardView",
    user: str = ".user-info, [data-testid=user]",
    initialised: str = "window.AppManager?.isInitialized && window.Auth?.isAuthenticated()",
    health_path: str = "/api/v1/apps/health",
) -> tuple[Layer, ...]:
    """Return the plan's seven layers, for an app that keeps the page contract."""
    health = f"fetch({json.dumps(health_path)})"
    shown = f"document.querySelector({json.dumps(dashboard)})?.outerHTML ?? 'no {dashboard}'"
    return (
        Layer(
            "token present",
            f"localStorage.getItem({json.dumps(storage_key)}) !== null",
            "'keys in localStorage: ' + Object.keys(localStorage).join(', ')",
        ),
        Layer("modal gone", f"!{visible(modal)}", f"document.querySelector('{modal}')?.outerHTML"),
        Layer("dashboard visible", visible(dashboard), shown, timeout_s=10),
        Layer("user shown", visible(user), "document.body.innerText", required=False, timeout_s=2),
        Layer("network quiet", _QUIET, required=False, timeout_s=2),
        Layer("app initialised", f"!!({initialised})", "JSON.stringify(window.AppManager ?? null)"),
        Layer(
            "API healthy",
            f"{health}.then(answer => answer.ok)",
            f"{health}.then(async answer => answer.status + ' ' + await answer.text())",
        ),
    )


@dataclass(frozen=True, slots=True)
class Passed:
    """How one step of a login went; ``outcome`` is ok, missing or failed."""

    step: str
    at_s: float
    took_s: float
    outcome: str
    evidence: str = ""

    def __str__(self) -> str:
        said = f"  {self.evidence}" if self.evidence else ""
        return f"  {self.at_s:7.3f} s  {self.outcome:<7} {self.step} ({self.took_s:.3f} s){said}"


@dataclass
class AuthFlow:
    """Logs in once per role and process, and proves it for each page.

    ``accounts`` gives the account of a role; without it ``user`` is registered anew and ``admin``
    comes from ``E2E_ADMIN_USERNAME`` and ``E2E_ADMIN_PASSWORD``. ``timeline`` is of the latest
    login.
    """

    adapter: Adapter = field(default_factory=BearerLogin)
    layers: Sequence[Layer] = field(default_factory=seven_layers)
    accounts: Callable[[str], Account] | None = None
    start_path: str = "/"
    clock: Clock = field(default_factory=SystemClock)
    redactor: Redactor = field(default_factory=Redactor)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    timeline: list[Passed] = field(default_factory=list, init=False)
    logins: dict[str, Login] = field(default_factory=dict, init=False, repr=False)
    _began: float = field(default=0.0, init=False)

    def open(self, page: Page, base_url: str, *, role: str = USER) -> Page:
        """Return ``page``, logged in as ``role``, on the app's first view and proven ready.

        Raises:
            AuthFailed: at the layer that failed, with what was there instead.
        """
        self.timeline.clear()
        self._began = self.clock.monotonic()
        known = self.logins.get(role)
        self._enter(page, base_url, known or self._log_in(page.context, base_url, role))
        if known is not None and not self._still_good(page, base_url, known):
            del self.logins[role]
            page.goto("about:blank")  # what the app does about it ends here
            self._enter(page, base_url, self._log_in(page.context, base_url, role), clean=False)
        self.verify(page)
        return page

    def verify(self, page: Page) -> None:
        """Return once every required layer has passed on ``page``.

        Raises:
            AuthFailed: one did not in its time.
        """
        if not self._all_pass(page):
            for layer in self.layers:
                self._wait_for(page, layer)

    def account(self, role: str) -> Account:
        """Return who logs in as ``role``.

        Raises:
            UserMistake: nobody said who the admin is.
        """
        if self.accounts is not None:
            return self.accounts(role)
        if role == USER:
            return Account(f"e2e-{secrets.token_hex(4)}", secrets.token_urlsafe(12), is_new=True)
        prefix = f"E2E_{role.upper()}"
        name = self.environ.get(f"{prefix}_USERNAME")
        password = self.environ.get(f"{prefix}_PASSWORD")
        if not name or not password:
            raise UserMistake(
                f'nobody says who logs in as "{role}"',
                origin="the environment",
                hint=f"Set E2E_{role.upper()}_USERNAME and E2E_{role.upper()}_PASSWORD, or give "
                "AuthFlow(accounts=...) in a fixture auth_flow of your own",
            )
        return Account(name, password)

    def told(self) -> str:
        """Return the time line of the latest login, a step a line."""
        return "\n".join(map(str, self.timeline))

    # --- steps ------------------------------------------------------------------------------

    def _still_good(self, page: Page, base_url: str, known: Login) -> bool:
        """Whether the app takes a login of before; asked while its page is loading."""
        api = page.context.request
        return self._step("login still good", lambda: self.adapter.holds(api, base_url, known))

    def _enter(self, page: Page, base_url: str, login: Login, *, clean: bool = True) -> None:
        """Begin to load the app's first page with a login; ``clean`` where none was there."""
        clean = clean and page.url == "about:blank"  # else somebody else may have been here
        with self._entering(page, base_url, login, clean=clean):
            self._step("open", lambda: page.goto(base_url + self.start_path, wait_until="commit"))

    @contextmanager
    def _entering(self, page: Page, base_url: str, login: Login, *, clean: bool) -> Iterator[None]:
        """Let the next document of ``page`` begin with the login, and no later one.

        Playwright's own set_storage_state opens a page for each origin: it takes longer than
        the rest of the login together.
        """
        context = page.context
        if not clean:
            context.clear_cookies()
        if login.state["cookies"]:
            context.add_cookies(login.state["cookies"])
        kept = {
            item["name"]: item["value"]
            for origin in login.state["origins"]
            if origin["origin"] == origin_of(base_url)
            for item in origin["localStorage"]
        }
        script = _ENTER % (json.dumps(origin_of(base_url)), json.dumps(kept))
        with page.add_init_script(script):
            yield

    def _log_in(self, context: BrowserContext, base_url: str, role: str) -> Login:
        """Return a new login of this process."""
        login = self._step("log in", lambda: self._logged_in(context, base_url, role))
        self.logins[role] = login
        return login

    def _logged_in(self, context: BrowserContext, base_url: str, role: str) -> Login:
        account = self.account(role)
        self.redactor.learn(account.password)
        try:
            login = self.adapter.log_in(context.request, base_url, account)
        except AuthFailed as exc:
            raise self._failed(exc.layer, exc.what, exc.evidence, hint=exc.hint) from None
        for secret in login.secrets:
            self.redactor.learn(secret)
        return login

    def _all_pass(self, page: Page) -> bool:
        """Whether every layer passes, in order and soon: one question to the page for all."""
        from playwright.sync_api import Error

        began = self.clock.monotonic() - self._began
        layers = [layer for layer in self.layers if layer.check != _QUIET]
        checks = ", ".join(f"async () => {layer.check}" for layer in layers)
        try:
            took: list[float] = page.evaluate(_FIRST_LOOK % (_FIRST_LOOK_MS, checks))
        except Error as exc:
            if isinstance(exc, PageClosedError):
                raise
            return False  # the app went on to another document: the long way round knows how
        if len(took) < len(layers) or not self._is_quiet(page):
            return False
        for layer, took_ms in zip(layers, took, strict=True):
            self.timeline.append(Passed(layer.name, began, took_ms / 1000, "ok"))
            began += took_ms / 1000
        return True

    def _wait_for(self, page: Page, layer: Layer) -> None:
        from playwright.sync_api import Error

        began = self.clock.monotonic()
        reason = ""
        try:
            if layer.check == _QUIET:
                self._wait_until_quiet(page, layer.timeout_s)
            else:
                page.wait_for_function(layer.check, timeout=layer.timeout_s * 1000)
        except Error as exc:
            reason = self._evidence(page, layer, exc)
        outcome = "ok" if not reason else "failed" if layer.required else "missing"
        took = self.clock.monotonic() - began
        self.timeline.append(
            Passed(layer.name, began - self._began, took, outcome, reason[:_SHOWN])
        )
        if outcome == "failed":
            what = f"not true within {layer.timeout_s:g} s on {self.redactor.url(page.url)}"
            raise self._failed(
                layer.name,
                what,
                reason,
                hint="Mend the page, or say what your app shows with AuthFlow(layers=...) in the "
                "fixture auth_flow; --auth-debug prints the time line",
            )

    def _evidence(self, page: Page, layer: Layer, error: Exception) -> str:
        """What is there instead, and which requests failed."""
        if isinstance(error, PageClosedError):
            raise error
        try:
            there = page.evaluate(f"Promise.resolve({layer.evidence}).catch(String)")
        except Exception as exc:  # noqa: BLE001 - evidence of a failure: its own is told instead
            there = f"no evidence: {exc}"
        life = life_of(page)
        failed = life.failed_requests() if life is not None else []
        return self.redactor.text("\n    ".join([str(there)[:_SHOWN], *failed[-3:]]))

    def _is_quiet(self, page: Page) -> bool:
        life = life_of(page)
        return life is None or not life.pending

    def _wait_until_quiet(self, page: Page, timeout_s: float) -> None:
        """An app that polls is never idle for long: quiet is no request without an answer."""
        if not self._is_quiet(page):
            page.wait_for_event(
                "response",
                lambda response: self._is_quiet(page),
                timeout=timeout_s * 1000,
            )

    def _step(self, name: str, work: Callable[[], _Value]) -> _Value:
        began = self.clock.monotonic()
        outcome = "failed"
        try:
            value = work()
            outcome = "missing" if value is False else "ok"
        finally:
            took = self.clock.monotonic() - began
            self.timeline.append(Passed(name, began - self._began, took, outcome))
        return value

    def _failed(self, layer: str, what: str, evidence: str, *, hint: str) -> AuthFailed:
        said = self.redactor.text(evidence)
        return AuthFailed(layer, what, evidence=said, timeline=self.told(), hint=hint)
