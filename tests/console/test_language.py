"""Plain English: 30 phrases become commands, 30 are refused, none runs before it is confirmed."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src_app.console import words
from src_app.console.commands import make_registry
from src_app.console.language import understand
from src_app.console.registry import Context, Outcome
from src_app.observability.observer import H, Named, Observer
from tests.console.conftest import Sit

UNDERSTOOD = {
    "create a web server with 4 cores": "create container --name web-server --cores 4",
    "Please create a container named db with 2 cores, 1 GB of memory and 20 GB disk on pve.": (
        "create container --name db --cores 2 --memory 1024 --disk 20 --node pve"
    ),
    "make a new vm called build-1": "create vm --name build-1",
    "spin up an lxc container named cache": "create container --name cache",
    "set up a database server with 8 GB ram": (
        "create container --name database-server --memory 8192"
    ),
    "add a virtual machine named win on pve2 with 512 mb of memory": (
        "create vm --name win --memory 512 --node pve2"
    ),
    "could you launch a mail server": "create container --name mail-server",
    "stop all containers on pve": "stop container --all --node pve",
    "stop all the vms": "stop vm --all",
    "turn off all vms on the node pve2": "stop vm --all --node pve2",
    "shut down the vm web": "stop vm web",
    "halt container 105 please": "stop container 105",
    "start every container": "start container --all",
    "power on the virtual machine called db": "start vm db",
    "boot vm 100": "start vm 100",
    "delete the container named old": "delete container old",
    "get rid of vm 200": "delete vm 200",
    "list all vms": "list vms",
    "show me all containers": "list containers",
    "show all stopped containers on pve2": "list containers --status stopped --node pve2",
    "what vms are running": "list vms --status running",
    "which containers are stopped on pve?": "list containers --status stopped --node pve",
    "show the nodes": "list nodes",
    "show me the storages": "list storages",
    "tell me about container web": "describe container web",
    "inspect the vm db": "describe vm db",
    "sync with proxmox": "/sync",
    "what would a sync change?": "/sync --dry-run",
    "what would change": "/plan",
    "apply the plan": "/apply",
}
REFUSED = (
    "stop",
    "stop it",
    "stop all",
    "stop web",
    "do something",
    "make me a sandwich",
    "don't stop vm web",
    "never delete the vm web",
    "stop vm web and start vm db",
    "stop all vms except web",
    "should i stop vm web?",
    "if vm web is down start vm web",
    "delete all vms",
    "delete everything",
    "destroy all containers on pve",
    "remove all guests",
    "stop all guests",
    "delete the vm",
    "start a container",
    "create a vm",
    "create 5 containers",
    "create a container named web with many cores",
    "create a container named web with 2 cores and 4 cores",
    "create a container named web with 2 cores; rm -rf",
    "create a container named all",
    "stop vm web tomorrow",
    "list the users",
    "describe the weather",
    "stop container $(reboot)",
    "apply vm web",
)


def test_there_are_sixty_phrases() -> None:
    assert (len(UNDERSTOOD), len(set(REFUSED))) == (30, 30)


@pytest.mark.parametrize(("phrase", "command"), UNDERSTOOD.items())
def test_phrase_is_understood(phrase: str, command: str) -> None:
    assert understand(phrase) == command


@pytest.mark.parametrize("phrase", REFUSED)
def test_phrase_is_refused(phrase: str) -> None:
    assert understand(phrase) is None


@pytest.mark.parametrize("command", sorted(set(UNDERSTOOD.values())))
def test_what_is_understood_is_a_command(command: str) -> None:
    registry = make_registry()
    name, *given = words.split(command)
    values = words.parse(registry.find(name), given)
    assert not values["help"]
    assert not values.get("yes")  # a phrase never agrees to what it asks for


@pytest.mark.parametrize("phrase", UNDERSTOOD)
def test_nothing_runs_before_the_shown_command_is_confirmed(
    sit: Sit, root: Path, phrase: str
) -> None:
    ran: list[str] = []
    sitting = sit(root, answers=["n"])

    class Spy(Observer):
        def wrap(self, command: Named, handler: H) -> H:
            def spy(_: Context) -> Outcome:
                ran.append(command.name)
                return Outcome()

            return cast(H, spy)

    registry = make_registry(Spy())
    sitting.session.registry = registry
    printed = sitting.run(phrase, expect=3)
    assert f"I understood: {UNDERSTOOD[phrase]}" in printed
    assert "Nothing was done." in printed
    assert ran == []
    assert sitting.answers == []


def test_script_never_runs_a_phrase(sit: Sit, root: Path) -> None:
    printed = sit(root).run("list all running vms", expect=3)
    assert "I understood: list vms --status running" in printed


def test_confirmed_phrase_runs(sit: Sit, root: Path) -> None:
    printed = sit(root, answers=["y"]).run("show me all containers")
    assert "No guests here" in printed


WORDS = st.sampled_from(
    "stop start delete create a the all every vm vms container containers called named web db on "
    "pve with 4 cores 2 gb of memory and not ; $(x) list show me plan apply".split()
)


@given(st.lists(WORDS, max_size=9))
@settings(max_examples=400, deadline=None)
def test_any_words_become_a_command_that_parses_or_nothing(phrase: list[str]) -> None:
    command = understand(" ".join(phrase))
    if command is None:
        return
    name, *given = words.split(command)
    values = words.parse(make_registry().find(name), given)
    assert not (name == "delete" and values.get("all"))
    assert ";" not in command
    assert "$" not in command
