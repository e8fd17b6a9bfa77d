"""What of this machine tests need: the embedded Proxmox, the ledger, database and browser."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import TYPE_CHECKING

from pytest_proxmox.cli.checks import Finding
from pytest_proxmox.cli.target import ledger_folder
from pytest_proxmox.errors import ProxmoxTestError

if TYPE_CHECKING:
    from pytest_proxmox.config import Settings

BROWSER_S = 60.0  # a cold start of Chromium on a loaded machine takes seconds
# Debian's browser is what there is where Playwright's own download is out of reach.
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
LAUNCH = """
import sys
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=sys.argv[1] or None)
    print(browser.version)
    browser.close()
"""


def all_of() -> Iterator[Finding]:
    """Yield the findings about this machine."""
    yield _ledger()
    yield _database()
    yield _browser()


def embedded(settings: Settings) -> Iterator[Finding]:
    """Yield whether the embedded Proxmox starts and what is on it."""
    from pytest_proxmox.clock import SystemClock
    from pytest_proxmox.simulator.server import Server
    from pytest_proxmox.simulator.simulator import Simulator
    from pytest_proxmox.simulator.world import World
    from pytest_proxmox.target.endpoint import Endpoint
    from pytest_proxmox.target.settings import visit

    try:
        world = World.named(settings.world, origin=settings.origin("world").text)
        with Server(Simulator(world)) as server:
            login = server.simulator.credentials
            there = Endpoint(
                "127.0.0.1", server.port, login.user, login.password, ca_file=server.ca_file
            )
            _, facts = visit(settings, "simulator", there, SystemClock())
            told = f"the embedded one, PVE {facts.version}, world {settings.world}"
            yield Finding("proxmox", "ok", told)
            yield Finding("template", "ok", str(facts.template))
    except (ProxmoxTestError, OSError, RuntimeError) as exc:
        remedy = "Try --proxmox-transport in-process, which needs no port"
        yield Finding("proxmox", "fail", f"the embedded one does not start: {exc}", remedy)


def _ledger() -> Finding:
    from pytest_proxmox.sandbox.ledger import Ledger

    folder = ledger_folder()
    try:
        with Ledger(folder) as ledger:
            return Finding("ledger", "ok", str(ledger.path))
    except ProxmoxTestError as exc:
        return Finding("ledger", "fail", str(exc), "Set XDG_STATE_HOME to a folder of yours")


def _database() -> Finding:
    if importlib.util.find_spec("sqlalchemy") is None:
        remedy = "For the database fixtures: pip install 'pytest-proxmox[db]'"
        return Finding("database", "skip", "SQLAlchemy is not installed", remedy)
    names = ("aiosqlite", "psycopg", "asyncpg")
    drivers = [name for name in names if importlib.util.find_spec(name) is not None]
    told = f"SQLAlchemy {metadata.version('sqlalchemy')}, SQLite; {', '.join(drivers)}"
    return Finding("database", "ok", told)


def _browser() -> Finding:
    if importlib.util.find_spec("playwright") is None:
        remedy = "For browser tests: pip install 'pytest-proxmox[e2e]'"
        return Finding("browser", "skip", "Playwright is not installed", remedy)
    system = next(filter(None, map(shutil.which, BROWSERS)), "")
    said = ""
    for executable in dict.fromkeys(("", system)):
        version, said = _launch(executable)
        if version:
            return Finding("browser", "ok", f"{executable or 'Playwrights own'} {version}")
    remedy = "playwright install chromium, or, as root: apt-get install chromium"
    return Finding("browser", "fail", f"no Chromium starts: {said}", remedy)


def _launch(executable: str) -> tuple[str, str]:
    """The version of the browser that was started, and else what was said."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", LAUNCH, executable],
            capture_output=True,
            text=True,
            timeout=BROWSER_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "", f"nothing after {BROWSER_S:.0f} s"
    last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    return (done.stdout.strip(), "") if done.returncode == 0 else ("", last)
