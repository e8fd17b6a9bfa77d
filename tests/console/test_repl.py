"""The session: routing, quoting, errors, exit codes, history, and what a crash leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src_app.console import words
from src_app.console.errors import UsageError
from src_app.console.history import KEPT, SLACK, History, SessionFile
from src_app.console.registry import Context, Outcome, Registry
from src_app.workspace.errors import WorkspaceLocked
from tests.console.conftest import Sit, Sitting

ROOT = Path(__file__).parents[2]


def test_unknown_slash_command_is_told(sitting: Sitting) -> None:
    printed = sitting.run("/nope", expect=2)
    assert "❌ Unknown slash command: /nope" in printed
    assert 'Type "help" or "/help" for available commands' in printed


def test_unknown_command_is_told_with_the_nearest(sitting: Sitting) -> None:
    printed = sitting.run("lst vms", expect=2)
    assert "Unknown command: lst" in printed
    assert 'Did you mean "list"?' in printed


@pytest.mark.parametrize("word", ["exit", "quit", "/exit", "/quit"])
def test_exit_ends_the_session(sitting: Sitting, word: str) -> None:
    assert "👋 Session ended" in sitting.run(word)
    assert sitting.session.is_over


@pytest.mark.parametrize("line", ["", "   ", "# a comment"])
def test_empty_line_does_nothing(sitting: Sitting, line: str) -> None:
    assert sitting.run(line) == ""
    assert sitting.session.history.entries == []


def test_command_without_workspace_says_how_to_make_one(sit: Sit, tmp_path: Path) -> None:
    printed = sit(tmp_path / "nowhere").run("list vms", expect=1)
    assert "Make one with /init" in printed


def test_ctrl_c_ends_the_command_and_not_the_session(sitting: Sitting) -> None:
    def interrupted(_: Context) -> Outcome:
        raise KeyboardInterrupt

    sitting.session.registry = Registry(
        sitting.session.registry, wrap=lambda command, handler: interrupted
    )
    assert "Cancelled." in sitting.run("list vms", expect=130)
    assert not sitting.session.is_over


def test_lock_of_another_is_an_error_of_one_line(sitting: Sitting) -> None:
    def locked(_: Context) -> Outcome:
        raise WorkspaceLocked.by("process 7", Path("/lab"))

    sitting.session.registry = Registry(
        sitting.session.registry, wrap=lambda command, handler: locked
    )
    assert sitting.run("/sync", expect=1).count("\n") == 1


def test_history_is_written_before_a_command_runs(sitting: Sitting) -> None:
    path = sitting.session.home / "commands.jsonl"
    seen: list[str] = []

    def looking(_: Context) -> Outcome:
        seen.append(path.read_text())
        return Outcome()

    sitting.session.registry = Registry(
        sitting.session.registry, wrap=lambda command, handler: looking
    )
    sitting.run("list all")
    assert '"begin": "list all"' in seen[0]
    assert '"end": 0' in path.read_text()


def test_history_comes_back_and_is_searched(sit: Sit, root: Path) -> None:
    first = sit(root)
    for line in ("list vms", "list vms", "/status", "list nodes"):
        first.run(line)
    first.session.close()
    again = sit(root)
    assert again.session.history.commands == ["list vms", "/status", "list nodes"]
    assert [e.command for e in again.session.history.search("LIST nod")] == ["list nodes"]
    assert "list nodes" in again.run("/history nodes")


def test_history_cut_short_loses_only_its_last_line(tmp_path: Path) -> None:
    path = tmp_path / "commands.jsonl"
    history = History(path)
    for number in range(3):
        history.begin(f"list {number}")
        history.end(0, 0.1)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        commands = [entry.command for entry in History(path).entries]
        assert commands == [f"list {number}" for number in range(len(commands))]
        assert len(commands) >= whole[:length].count(b'{"begin"') - 1


def test_history_is_kept_short(tmp_path: Path) -> None:
    path = tmp_path / "commands.jsonl"
    lines = [json.dumps({"begin": f"list {n}", "at": ""}) for n in range(KEPT + SLACK + 1)]
    path.write_text("\n".join(lines) + "\n")
    assert len(History(path).entries) == KEPT
    assert len(path.read_text().splitlines()) == KEPT


def test_session_of_a_living_process_is_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "session.json"
    ours = SessionFile(path)
    assert ours.crashed() is None
    ours.open()
    assert SessionFile(path).crashed() is None
    ours.close()
    assert not path.exists()


def test_session_of_a_dead_process_is_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "session.json"
    path.write_text('{"started": "yesterday"}\n')
    assert SessionFile(path).crashed() == "yesterday"


@given(st.lists(st.text(min_size=1, max_size=12), max_size=6))
@settings(max_examples=150, deadline=None)
def test_any_words_can_be_quoted(given_words: list[str]) -> None:
    assert words.split(words.join(given_words)) == given_words


def test_open_quote_is_told() -> None:
    with pytest.raises(UsageError, match="A quote is not closed"):
        words.split("create vm --name 'web")


def script(
    root: Path, environment: dict[str, str], *arguments: str, text: str = ""
) -> tuple[int, str]:
    """Return exit code and output of the console as a process of its own."""
    command = [sys.executable, "-m", "src_app.console", *arguments]
    measured = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
    environ = {**environment, **measured, "PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(root)}
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, cwd=root, env=environ, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_script_from_a_pipe_stops_at_the_first_failure(
    root: Path, environment: dict[str, str]
) -> None:
    code, printed = script(root, environment, text="/status\n/nope\n/validate\n")
    assert code == 2
    assert "root@pam" in printed
    assert "is sound" not in printed


def test_script_of_commands_goes_on_where_that_is_wanted(
    root: Path, environment: dict[str, str]
) -> None:
    arguments = ("-c", "/nope", "-c", "/validate", "--keep-going", "--json")
    code, printed = script(root, environment, *arguments)
    assert code == 2
    decoder = json.JSONDecoder()
    first, end = decoder.raw_decode(printed)
    second, _ = decoder.raw_decode(printed[end:].lstrip())
    assert (first["ok"], second["ok"]) == (False, True)


def test_script_that_is_not_there_is_told(root: Path, environment: dict[str, str]) -> None:
    assert script(root, environment, "none.txt") == (
        2,
        'The script "none.txt" cannot be read: No such file or directory\n',
    )
