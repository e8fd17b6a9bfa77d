"""VMs run, pause and stop (golden 10 seq 48 to 112; 11 seq 44 to 50; 02 seq 196)."""

from __future__ import annotations

import pytest

from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.world import World

from .client import Client
from .machine_room import GIB, QEMU, VM, config, create, login, power, status, volumes

TIMEOUT = "VM quit/powerdown failed - got timeout"
SYSTEM = "thin:0,import-from=local:import/debian.qcow2"


@pytest.fixture
def pve() -> Client:
    """Root on a node where VM 100 stands, with a system, a network, and nothing running."""
    client = login()
    create(client, name="web", memory=512, scsi0=SYSTEM, net0="virtio,bridge=vmbr0")
    return client


@pytest.fixture
def running(pve: Client) -> Client:
    """The same with VM 100 running."""
    assert power(pve, "start") == "OK"
    return pve


def test_a_started_vm_runs(running: Client) -> None:
    found = status(running)
    assert (found["status"], found["qmpstatus"]) == ("running", "running")
    assert found["pid"] > 0
    assert found["nics"] == {"tap100i0": {"netin": 0, "netout": 0}}


def test_a_vm_of_which_nothing_was_said_starts() -> None:
    pve = Client.login(Simulator(World.preset("single")))
    create(pve, 101)
    assert power(pve, "start", 101) == "OK"


def test_a_node_without_kvm_starts_only_vms_that_do_not_want_it() -> None:
    nodes = {"pve": {"kvm": False}}
    world = World.parse({**World.preset("single").data, "nodes": nodes}, origin="test")
    pve = Client.login(Simulator(world))
    create(pve, 101)
    create(pve, 102, kvm=0)
    assert power(pve, "start", 101) == "start failed: QEMU exited with code 1"
    assert status(pve, 101)["status"] == "stopped"
    assert power(pve, "start", 102) == "OK"


def test_starting_twice_fails_in_the_task(running: Client) -> None:
    assert power(running, "start") == "VM 100 already running"


def test_a_stopped_vm_is_stopped_well(pve: Client) -> None:
    assert power(pve, "stop") == "OK"
    assert power(pve, "shutdown") == "OK"


def test_a_stop_ends_it(running: Client) -> None:
    assert power(running, "stop") == "OK"
    found = status(running)
    assert (found["status"], found["qmpstatus"], found["uptime"]) == ("stopped", "stopped", 0)
    assert "pid" not in found


def test_a_system_shuts_down_when_asked(running: Client) -> None:
    assert power(running, "shutdown") == "OK"
    assert status(running)["status"] == "stopped"


@pytest.mark.parametrize("action", ["shutdown", "reboot"])
def test_without_a_system_nobody_hears(pve: Client, action: str) -> None:
    create(pve, 101, name="empty", scsi0="thin:1", start=1)
    pve.sim.clock.advance(5)
    assert power(pve, action, 101, timeout=3) == TIMEOUT
    assert status(pve, 101)["status"] == "running"


def test_a_forced_shutdown_ends_whoever_does_not_hear(pve: Client) -> None:
    create(pve, 101, name="empty", scsi0="thin:1", start=1)
    pve.sim.clock.advance(5)
    said = pve.post(f"{QEMU}/101/status/shutdown", timeout=3, forceStop=1)
    assert pve.finish(said) == "OK"
    assert pve.log(said.data)[0] == "VM still running - terminating now with SIGTERM"
    assert status(pve, 101)["status"] == "stopped"


def test_a_reboot_starts_the_count_of_seconds_again(running: Client) -> None:
    running.sim.clock.advance(100)
    assert status(running)["uptime"] > 100
    assert power(running, "reboot") == "OK"
    assert status(running)["uptime"] < 10


def test_a_reset_keeps_the_process(running: Client) -> None:
    before = status(running)["pid"]
    assert power(running, "reset") == "OK"
    assert status(running)["pid"] == before


def test_a_paused_vm_runs_on_when_resumed(running: Client) -> None:
    assert power(running, "suspend") == "OK"
    paused = status(running)
    assert (paused["status"], paused["qmpstatus"]) == ("running", "paused")
    assert power(running, "resume") == "OK"
    assert status(running)["qmpstatus"] == "running"


def test_a_paused_vm_does_not_hear_a_shutdown(running: Client) -> None:
    power(running, "suspend")
    assert power(running, "shutdown") == "VM is paused - cannot shutdown"


def test_a_vm_can_sleep_on_disk(running: Client) -> None:
    assert power(running, "suspend", todisk=1) == "OK"
    found = config(running)
    assert (found["lock"], found["vmstate"]) == ("suspended", "thin:vm-100-state-suspend")
    assert found["vmstate"] in volumes(running, "thin")
    assert status(running)["status"] == "stopped"


@pytest.mark.parametrize("action", ["start", "resume"])
def test_a_vm_wakes_from_disk(running: Client, action: str) -> None:
    power(running, "suspend", todisk=1)
    assert power(running, action) == "OK"
    assert status(running)["status"] == "running"
    assert "lock" not in config(running)
    assert volumes(running, "thin", vmid=100) == ["thin:vm-100-disk-0"]


@pytest.mark.parametrize("action", ["reboot", "reset", "suspend", "resume"])
def test_what_needs_a_running_vm_is_refused(pve: Client, action: str) -> None:
    assert pve.post(f"{VM}/status/{action}").refusal == (500, "VM 100 not running")
    assert pve.post(f"{QEMU}/4999/status/{action}").refusal == (500, "VM 4999 not running")


@pytest.mark.parametrize(
    ("action", "ending"),
    [
        ("start", "Configuration file 'nodes/pve/qemu-server/4999.conf' does not exist"),
        ("stop", "unable to find configuration file for VM 4999 on node 'pve'"),
    ],
    ids=["start", "stop"],
)
def test_a_vm_that_is_not_there_shows_in_the_task(pve: Client, action: str, ending: str) -> None:
    assert power(pve, action, 4999) == ending


@pytest.mark.parametrize(
    ("action", "ending"), [("start", "VM is locked (backup)"), ("stop", "OK")], ids=str
)
def test_a_lock_shows_in_the_task_and_not_when_there_is_nothing_to_stop(
    pve: Client, action: str, ending: str
) -> None:
    pve.put(VM + "/config", lock="backup")
    assert power(pve, action) == ending


def test_skiplock_passes_over_a_lock(pve: Client) -> None:
    pve.put(VM + "/config", lock="backup")
    assert power(pve, "start", skiplock=1) == "OK"


def test_a_disk_that_is_gone_keeps_it_from_starting(pve: Client) -> None:
    create(pve, 101, scsi0="local:1")
    volid = "local:101/vm-101-disk-0.raw"
    pve.finish(pve.delete(f"/nodes/pve/storage/local/content/{volid}"))
    assert power(pve, "start", 101) == f"volume '{volid}' does not exist"


def test_a_bridge_that_is_not_there_keeps_it_from_starting(pve: Client) -> None:
    create(pve, 101, net0="virtio,bridge=vmbr9")
    assert power(pve, "start", 101) == "bridge 'vmbr9' does not exist"


def test_a_stop_can_overrule_a_shutdown_that_waits(pve: Client) -> None:
    create(pve, 101, name="empty", start=1)
    pve.sim.clock.advance(5)
    waiting = pve.post(f"{QEMU}/101/status/shutdown")
    assert power(pve, "stop", 101, **{"overrule-shutdown": 1}) == "OK"
    assert pve.finish(waiting) == "interrupted by signal"
    assert status(pve, 101)["status"] == "stopped"


def test_high_availability_starts_what_it_manages(pve: Client) -> None:
    pve.post("/cluster/ha/resources", sid="vm:100", state="stopped")
    said = pve.post(VM + "/status/start")
    assert said.data.split(":")[5] == "hastart"
    pve.finish(said)
    pve.sim.clock.advance(30)
    assert status(pve)["status"] == "running"


def test_memory_of_an_idle_vm_is_less_than_it_may_take(running: Client) -> None:
    found = status(running)
    assert 0 < found["mem"] < found["maxmem"] == GIB // 2


def test_a_vm_that_always_stood_there_has_a_system(pve: Client) -> None:
    disk = {"scsi0": "thin:vm-300-disk-0,size=5G", "name": "old"}
    pve.sim.plant(vmid=300, type="qemu", status="running", config=disk)
    assert status(pve, 300)["maxdisk"] == 5 * GIB
    assert power(pve, "shutdown", 300) == "OK"
    assert power(pve, "start", 300) == "OK"


def test_all_vms_of_a_node_can_be_put_to_sleep_and_woken(running: Client) -> None:
    running.finish(running.post("/nodes/pve/suspendall"))
    running.sim.clock.advance(30)
    assert config(running)["lock"] == "suspended"
    running.put(VM + "/config", onboot=1, skiplock=1)
    running.finish(running.post("/nodes/pve/startall"))
    running.sim.clock.advance(30)
    assert status(running)["status"] == "running"
