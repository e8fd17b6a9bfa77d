"""The system's Chromium stands in only where nobody chose a browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_proxmox.browser import chromium


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A PATH with nothing but a chromium."""
    path = tmp_path / "chromium"
    path.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return str(path)


def test_system_chromium_is_launched_with_what_was_given(installed: str) -> None:
    arguments = chromium.instead({"headless": False, "args": ["--lang=de"]})
    assert arguments is not None
    assert arguments["executable_path"] == installed
    assert arguments["headless"] is False
    assert arguments["args"][0] == "--lang=de"


@pytest.mark.parametrize(
    ("given", "debug", "taken"),
    [
        ({}, "", "chromium-headless-shell"),
        ({"headless": True}, "", "chromium-headless-shell"),
        ({"headless": False}, "", "chromium"),
        ({}, "1", "chromium"),
    ],
    ids=["by default", "headless", "headed", "Playwright's inspector"],
)
def test_shell_is_launched_where_nobody_wants_to_see_a_window(
    installed: str,
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, bool],
    debug: str,
    taken: str,
) -> None:
    shell = Path(installed).with_name("chromium-headless-shell")
    shell.touch(mode=0o755)
    monkeypatch.setenv("PWDEBUG", debug)
    arguments = chromium.instead(given)
    assert arguments is not None
    assert Path(arguments["executable_path"]).name == taken


@pytest.mark.parametrize("given", [{"channel": "chrome"}, {"executable_path": "/opt/x"}], ids=str)
def test_chosen_browser_is_never_replaced(installed: str, given: dict[str, str]) -> None:
    assert installed
    assert chromium.instead(given) is None


def test_nothing_stands_in_where_nothing_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert chromium.instead({}) is None


def test_ffmpeg_is_looked_for_beside_the_browser(tmp_path: Path) -> None:
    executable = tmp_path / "chromium-1200/chrome-linux/chrome"
    assert not chromium.has_ffmpeg(str(executable))
    (tmp_path / "ffmpeg-1013").mkdir()
    (tmp_path / "ffmpeg-1013/ffmpeg-linux").touch()
    assert chromium.has_ffmpeg(str(executable))
