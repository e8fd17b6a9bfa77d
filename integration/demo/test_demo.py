"""The tour that ``./dev demo`` gives: real tests on an embedded Proxmox, and a killed run.

Only the plugin's public fixtures and command are used.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from integration.demo.story import Story
from integration.serving import Served, serving
from src_app.proxmox import ProxmoxService

RUN_TIMEOUT_S = 120

SUITE_THAT_IS_KILLED = """
import threading

def test_that_holds_two_guests(lxc):
    clone = lxc.stop().clone().start()
    print("HOLDING", int(lxc.vmid), int(clone.vmid), flush=True)
    threading.Event().wait()
"""
SUITE_THAT_COMES_NEXT = """
def test_that_needs_one_guest(lxc):
    assert lxc.status() == "running"
"""


def test_a_container_is_made_started_and_cloned(
    lxc: Any, proxmox_target: Any, vmids_now: Callable[[], list[int]], story: Story
) -> None:
    story.title(f"A test asks for a container: Proxmox VE {proxmox_target.version}, embedded")
    story.step("made and started", f"container {lxc.vmid} on node {lxc.node}")
    assert lxc.status() == "running"

    lxc.stop()
    story.step("stopped", lxc.status())
    assert lxc.status() == "stopped"

    clone = lxc.clone(hostname="demo-clone")
    clone.start()
    story.step("cloned and started", f'container {clone.vmid}, "{clone.config()["hostname"]}"')
    assert clone.status() == "running"

    story.step("on Proxmox now", vmids_now())
    assert vmids_now() == sorted([lxc.vmid, clone.vmid])
    story.end()


def test_nothing_of_it_is_left(vmids_now: Callable[[], list[int]], story: Story) -> None:
    story.title("The next test looks round: the fixture has destroyed both")
    story.step("on Proxmox now", vmids_now() or "no guest")
    assert vmids_now() == []
    story.end()


@pytest.mark.asyncio
async def test_what_the_app_forgets_is_taken_away(
    proxmox_config: dict[str, Any], proxmox_target: Any, vmid: int, story: Story
) -> None:
    story.title("An app makes a container by itself, with a leased VMID, and forgets it")
    service = ProxmoxService()
    service.connect(**proxmox_config)
    made = await service.create_lxc(node=proxmox_target.node, vmid=vmid, hostname="forgotten")
    await service.start_lxc(made["node"], made["vmid"])

    story.step("the app made", f"container {vmid} from {made['template'].rpartition('/')[2]}")
    status = await service.get_lxc_status(made["node"], made["vmid"])
    story.step("it runs", status is not None and status["status"])
    assert status is not None
    assert status["status"] == "running"
    story.end()


def test_that_one_is_gone_too(vmids_now: Callable[[], list[int]], story: Story) -> None:
    story.title("The next test looks round: the lease was enough to find and destroy it")
    story.step("on Proxmox now", vmids_now() or "no guest")
    assert vmids_now() == []
    story.end()


def test_a_run_killed_in_the_middle_leaves_nothing(tmp_path: Path, story: Story) -> None:
    story.title("A whole run dies: kill -9, no tear-down, on a Proxmox that others share")
    with serving(tmp_path) as served:
        stranger = make_a_strangers_container(served)
        theirs = served.api.nodes(served.ready["node"]).lxc(stranger)
        before = theirs.config.get()
        story.step("a shared Proxmox", f"{served.address}, with somebody's container {stranger}")

        held = run_and_kill(tmp_path, served)
        story.step("a run holds", f"containers {held}")
        story.event("killed with SIGKILL", "in the middle of its test")
        story.event("on Proxmox now", served.guests())
        assert served.guests() == sorted([*held, stranger])

        output = run_to_its_end(tmp_path, served)
        story.step("the next run", output.strip().splitlines()[-1].strip("= "))
        story.step("on Proxmox now", f"{served.guests()}, unchanged")
        assert served.guests() == [stranger]
        assert theirs.config.get() == before
    story.end()


def make_a_strangers_container(served: Served) -> int:
    """Return the VMID, in the range of the tests, of a container that is none of theirs."""
    vmid, node = 9005, served.api.nodes(served.ready["node"])
    upid = node.lxc.post(
        vmid=vmid,
        hostname="somebodys",
        ostemplate=served.ready["template"],
        rootfs=f"{served.ready['storage']}:1",
    )
    assert node.tasks(upid).status.get()["exitstatus"] == "OK"
    return vmid


def run_and_kill(folder: Path, served: Served) -> list[int]:
    """Return the VMIDs that a run held when it was killed."""
    process = start(folder, served, SUITE_THAT_IS_KILLED)
    patience = threading.Timer(RUN_TIMEOUT_S, process.kill)
    patience.start()
    seen: list[str] = []
    with process:
        for line in process.stdout or ():
            seen.append(line)
            if "HOLDING" in line:
                break
        process.kill()
    patience.cancel()
    assert "HOLDING" in "".join(seen[-1:]), "the run ended before it was killed:\n" + "".join(seen)
    return sorted(int(word) for word in seen[-1].split("HOLDING")[1].split())


def run_to_its_end(folder: Path, served: Served) -> str:
    """Return what a run that came to its end printed."""
    with start(folder, served, SUITE_THAT_COMES_NEXT) as process:
        output, _ = process.communicate(timeout=RUN_TIMEOUT_S)
    assert process.returncode == 0, output
    return output


def start(folder: Path, served: Served, suite: str) -> subprocess.Popen[str]:
    """Return a pytest of its own that runs ``suite`` on the shared server."""
    (folder / "test_suite.py").write_text(suite, encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-s", f"--proxmox={served.ready['url']}", "test_suite.py"],
        cwd=folder,
        env=environment(folder) | served.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def environment(home: Path) -> dict[str, str]:
    """This process's variables, with a home of its own: both runs find their ledger there."""
    kept = {key: text for key, text in os.environ.items() if "PROXMOX_" not in key}
    kept.pop("XDG_STATE_HOME", None)
    return kept | {"HOME": str(home), "LOCALAPPDATA": str(home)}
