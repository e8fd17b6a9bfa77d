"""A whole session on a real terminal: typed, completed, killed, taken up again, ended."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.serving import Served, serving
from src_app.clock import SystemClock

ROOT = Path(__file__).parent.parent
PROMPT = "proxmox-mpc>"
PATIENCE_S = 60
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux (apt-get install tmux)"),
]


class Terminal:
    """The console in a tmux of its own; what is seen is what a user would see."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self._socket = folder / "tmux"
        self._folder = folder
        self._environ = environ
        self._clock = SystemClock()

    def tmux(self, *words: str) -> str:
        """Return what a tmux command prints."""
        command = ["tmux", "-S", str(self._socket), "-f", os.devnull, *words]
        outer = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=outer)
        return done.stdout

    def start(self) -> None:
        """Start the console in a fresh terminal."""
        told = [word for pair in self._environ.items() for word in ("-e", "=".join(pair))]
        command = f"exec {shlex.quote(sys.executable)} -m src_app.console"
        size = ("-x", "110", "-y", "50")
        self.tmux("new-session", "-d", *size, "-c", str(self._folder), *told, command)
        self.see(PROMPT)

    def stop(self) -> None:
        """End the terminal, whatever runs in it."""
        subprocess.run(
            ["tmux", "-S", str(self._socket), "kill-server"], capture_output=True, check=False
        )

    @property
    def pid(self) -> int:
        """The console's process."""
        return int(self.tmux("display-message", "-p", "#{pane_pid}"))

    def screen(self) -> str:
        """Return what is on the screen."""
        return self.tmux("capture-pane", "-p").rstrip()

    def press(self, *keys: str) -> None:
        """Press keys by their names."""
        self.tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        """Type a text."""
        self.tmux("send-keys", "-l", text)

    def see(self, *texts: str, last: str = "") -> str:
        """Return the screen once all texts are on it, and its last line begins with ``last``."""
        end = self._clock.monotonic() + PATIENCE_S
        while True:
            screen = self.screen()
            line = screen.rpartition("\n")[2]
            if all(text in screen for text in texts) and line.startswith(last):
                return screen
            assert self._clock.monotonic() < end, f"never seen: {texts}\n{screen}"
            self._clock.sleep(0.05)

    def run(self, line: str, *texts: str) -> str:
        """Return the screen after a line, with nothing on it from before."""
        self.press("C-l")
        self.see(last=PROMPT)
        self.type(line)
        self.press("Enter")
        return self.see(line, *texts, last=PROMPT)

    def gone(self) -> None:
        """Return once the terminal is closed, since its console ended."""
        end = self._clock.monotonic() + PATIENCE_S
        probe = ["tmux", "-S", str(self._socket), "has-session"]
        while subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            assert self._clock.monotonic() < end, self.screen()
            self._clock.sleep(0.05)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An embedded Proxmox in a process of its own."""
    world = str(ROOT / "tests" / "app" / "world.json")
    with serving(tmp_path_factory.mktemp("served"), world=world) as running:
        yield running


@pytest.fixture
def terminal(served: Served, tmp_path: Path) -> Iterator[Terminal]:
    """A terminal with the console in it."""
    environ = {
        **served.environment,
        "PROXMOX_HOST": served.address,
        "PYTHONPATH": str(ROOT),
        "APP_CONSOLE_HOME": str(tmp_path / "console-home"),
        "LANG": "C.UTF-8",
        "TERM": "screen",
    }
    terminal = Terminal(tmp_path, environ)
    terminal.start()
    yield terminal
    terminal.stop()


def test_session_survives_sigkill_and_ends_by_exit(terminal: Terminal, served: Served) -> None:
    terminal.run("/init --name lab", "✅ Workspace lab was made")
    terminal.run("/sync", "✅ Synced: 3 added", "node pve")
    _complete_by_tab(terminal)
    terminal.run("create container --name web --cores 2", "(web) on pve is wanted")
    terminal.run("/plan", "1 step:", "2 cores, 512 MiB")
    terminal.press("C-l")
    terminal.type("/apply")
    terminal.press("Enter")
    terminal.see("1 step to change the cluster", "Go on? [y/N]")
    assert served.guests() == []

    os.kill(terminal.pid, signal.SIGKILL)
    terminal.gone()
    terminal.start()
    terminal.see("📁 Workspace detected: lab", "Recovered the session", '"/apply" had not ended')

    terminal.press("Up")
    terminal.see(f"{PROMPT} /apply")
    terminal.press("Enter")
    terminal.see("Go on? [y/N]")
    terminal.type("y")
    terminal.press("Enter")
    terminal.see("✅ 1 done:", last=PROMPT)
    [vmid] = served.guests()
    terminal.run("list containers", str(vmid), "web", "stopped")
    terminal.type("describe container w")
    terminal.press("Tab")
    terminal.see("describe container web")
    terminal.press("Enter")
    terminal.see("local-lvm:vm-", last=PROMPT)
    _search_history(terminal)
    terminal.type("/exit")
    terminal.press("Enter")
    terminal.gone()


def _complete_by_tab(terminal: Terminal) -> None:
    terminal.press("C-l")
    terminal.see(last=PROMPT)
    terminal.type("/sta")
    terminal.press("Tab")
    terminal.see(f"{PROMPT} /status")
    terminal.press("Enter")
    terminal.see("root@pam at 127.0.0.1", last=PROMPT)


def _search_history(terminal: Terminal) -> None:
    terminal.press("C-r")
    terminal.see("search)")
    terminal.type("init")
    terminal.see("/init --name lab")
    terminal.press("C-c")
    terminal.see(last=PROMPT)
