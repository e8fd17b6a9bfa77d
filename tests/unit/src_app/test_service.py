"""The service on an embedded Proxmox: made, changed, copied, and removed with proof only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pytest_proxmox.simulator.simulator import Simulator
from src_app.proxmox import ProxmoxService
from src_app.proxmox.errors import (
    CleanupIncomplete,
    ForeignGuest,
    GuestNotFound,
    InvalidRequest,
    NotConnected,
    OutcomeUnknown,
    ProtectedGuest,
    RequestFailed,
    SettingError,
    TaskFailed,
    TaskWarned,
    TemplateNotFound,
    UnknownNode,
    VmidTaken,
)
from src_app.proxmox.ownership import nonce_in
from tests.unit.src_app.conftest import Connect

pytestmark = pytest.mark.asyncio

TEMPLATE = "local:vztmpl/alpine-3.18-default_20230607_amd64.tar.xz"
STRANGER = {
    "vmid": 9001, "type": "lxc", "node": "pve", "status": "stopped",
    "config": {"hostname": "somebodys", "description": "mine\n"},
}  # fmt: skip


async def make(service: ProxmoxService, vmid: int = 9001, **given: Any) -> dict[str, Any]:
    return await service.create_lxc("pve", vmid, **given)


def count(pve: Simulator, method: str, path: str) -> int:
    return sum(1 for call in pve.calls if (call.method, call.path) == (method, path))


async def eventually(condition: Callable[[], bool]) -> None:
    """Let the event loop go on until ``condition`` holds."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.to_thread(int)  # a turn of the loop, and of its worker threads


# Making ---------------------------------------------------------------------------------------


async def test_original_form_and_keyword_form_make_the_same(service: ProxmoxService) -> None:
    await service.create_lxc("pve", 9001, {"hostname": "web", "memory_mb": 256}, "s3cret")
    await service.create_lxc(node="pve", vmid=9002, hostname="web", memory=256)

    first = await service.get_lxc_config("pve", 9001)
    second = await service.get_lxc_config("pve", 9002)

    different = {"digest", "description", "rootfs"}
    assert {key: value for key, value in first.items() if key not in different} == {
        key: value for key, value in second.items() if key not in different
    }


async def test_template_and_storage_are_found_where_none_is_named(
    service: ProxmoxService,
) -> None:
    made = await make(service)

    assert (made["template"], made["storage"]) == (TEMPLATE, "local-lvm")


async def test_result_names_the_task_that_made_it(service: ProxmoxService) -> None:
    made = await make(service)

    outcome = await service.wait_for_task("pve", made["task_id"])
    assert (outcome.ok, outcome.upid) == (True, made["upid"])


async def test_taken_vmid_is_refused_with_proxmoxs_own_words(
    service: ProxmoxService, pve: Simulator
) -> None:
    pve.plant(**STRANGER)

    with pytest.raises(VmidTaken, match=r"VMID 9001 is taken.*CT 9001 already exists"):
        await make(service)


async def test_own_vmid_is_not_asked_for_twice(service: ProxmoxService, pve: Simulator) -> None:
    await make(service)

    with pytest.raises(VmidTaken, match="this service made"):
        await make(service)

    assert count(pve, "POST", "/nodes/pve/lxc") == 1


async def test_vmid_can_be_made_anew_after_somebody_removed_the_guest(
    service: ProxmoxService, pve: Simulator
) -> None:
    await make(service)
    pve.drop_guest(9001)

    await make(service)

    assert service.cleanup_test_containers().destroyed == (9001,)


async def test_unknown_node_is_named_with_those_there_are(service: ProxmoxService) -> None:
    with pytest.raises(UnknownNode, match=r'no node "pve7".*one of: pve'):
        await service.create_lxc("pve7", 9001, template=TEMPLATE, storage="local-lvm")


async def test_missing_template_lists_those_there_are(service: ProxmoxService) -> None:
    with pytest.raises(TemplateNotFound) as caught:
        await make(service, template="local:vztmpl/nope_1_amd64.tar.gz")

    assert caught.value.present == (TEMPLATE,)
    assert isinstance(caught.value.__cause__, TaskFailed)


async def test_unknown_storage_is_told_in_proxmoxs_words(service: ProxmoxService) -> None:
    with pytest.raises(RequestFailed, match="storage 'nope' does not exist"):
        await make(service, storage="nope")


async def test_wrong_parameter_is_named(service: ProxmoxService) -> None:
    with pytest.raises(InvalidRequest, match="hostname") as caught:
        await make(service, hostname="under_score")

    assert caught.value.fields.keys() == {"hostname"}


async def test_vmid_that_is_none_is_refused_before_anything_is_asked(
    service: ProxmoxService, pve: Simulator
) -> None:
    asked = len(pve.calls)

    with pytest.raises(SettingError):
        await make(service, vmid=99)

    assert len(pve.calls) == asked


async def test_root_password_is_in_no_error(service: ProxmoxService) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await make(service, hostname="under_score", root_password="c0rrect horse")

    assert "c0rrect horse" not in f"{caught.value} {caught.value!r}"


async def test_method_before_connect_says_so() -> None:
    with pytest.raises(NotConnected, match=r"connect\(\) first"):
        await ProxmoxService(environ={}).get_nodes()


# Changing -------------------------------------------------------------------------------------


async def test_container_that_is_not_there_cannot_be_started(service: ProxmoxService) -> None:
    with pytest.raises(GuestNotFound, match="container 9001 does not exist"):
        await service.start_lxc("pve", 9001)


async def test_container_shuts_down_by_itself_without_force(
    service: ProxmoxService, pve: Simulator
) -> None:
    await make(service)
    await service.start_lxc("pve", 9001)

    await service.stop_lxc("pve", 9001)

    assert count(pve, "POST", "/nodes/pve/lxc/9001/status/shutdown") == 1
    guest = pve.guest(9001)
    assert guest is not None
    assert not guest.running


async def test_locked_container_does_not_start(service: ProxmoxService, pve: Simulator) -> None:
    pve.plant(**{**STRANGER, "config": {"lock": "backup"}})

    with pytest.raises(TaskFailed, match=r"CT is locked \(backup\)"):
        await service.start_lxc("pve", 9001)


async def test_new_description_keeps_the_proof(service: ProxmoxService) -> None:
    await make(service)

    config = await service.update_lxc_config("pve", 9001, {"description": "shop", "memory": 256})

    assert config["memory"] == 256
    assert config["description"].startswith("shop\n")
    assert (await service.destroy_lxc("pve", 9001))["changed"]


async def test_disk_grows(service: ProxmoxService) -> None:
    await make(service, disk=4)

    await service.resize_lxc_disk("pve", 9001, 6)

    assert "size=6G" in (await service.get_lxc_config("pve", 9001))["rootfs"]


async def test_disk_does_not_shrink(service: ProxmoxService) -> None:
    await make(service, disk=4)

    with pytest.raises(RequestFailed, match="unable to shrink disk size"):
        await service.resize_lxc_disk("pve", 9001, 2)


async def test_rollback_brings_back_what_the_snapshot_held(service: ProxmoxService) -> None:
    await make(service, memory=512)
    await service.create_snapshot("pve", 9001, "before")
    await service.update_lxc_config("pve", 9001, memory=1024)

    await service.rollback_snapshot("pve", 9001, "before")

    assert (await service.get_lxc_config("pve", 9001))["memory"] == 512
    assert [entry["name"] for entry in await service.get_snapshots("pve", 9001)] == ["before"]
    assert (await service.destroy_lxc("pve", 9001))["changed"]


# Copying --------------------------------------------------------------------------------------


async def test_clone_has_its_own_proof_and_the_sources_text(service: ProxmoxService) -> None:
    await make(service, description="shop")
    await service.clone_lxc("pve", 9001, 9002, "copy")

    source = (await service.get_lxc_config("pve", 9001))["description"]
    clone = (await service.get_lxc_config("pve", 9002))["description"]
    assert clone.startswith("shop\n")
    assert nonce_in(clone) not in (None, nonce_in(source))


async def test_running_source_is_copied_from_a_snapshot_that_goes_again(
    service: ProxmoxService, pve: Simulator
) -> None:
    await make(service)
    await service.start_lxc("pve", 9001)

    result = await service.clone_lxc("pve", 9001, 9002, "copy")

    assert (result["newid"], result["vmid"], result["hostname"]) == (9002, 9001, "copy")
    assert await service.get_snapshots("pve", 9001) == []
    source = pve.guest(9001)
    assert source is not None
    assert source.running


async def test_failed_copy_of_a_running_source_leaves_no_snapshot(
    service: ProxmoxService, pve: Simulator
) -> None:
    await make(service)
    await service.start_lxc("pve", 9001)
    pve.faults.add(effect="task-error", task="vzclone", text="no space left")

    with pytest.raises(TaskFailed, match="no space left"):
        await service.clone_lxc("pve", 9001, 9002)

    assert await service.get_snapshots("pve", 9001) == []


async def test_copy_onto_a_taken_vmid_touches_neither(
    service: ProxmoxService, pve: Simulator
) -> None:
    pve.plant(**{**STRANGER, "vmid": 9002})
    before = pve.guest(9002)
    await make(service)

    with pytest.raises(VmidTaken):
        await service.clone_lxc("pve", 9001, 9002)

    assert pve.guest(9002) == before


async def test_copy_of_nothing_says_so(service: ProxmoxService) -> None:
    with pytest.raises(GuestNotFound):
        await service.clone_lxc("pve", 9001, 9002)


# Removing -------------------------------------------------------------------------------------


async def test_destroying_what_does_not_exist_is_no_error(service: ProxmoxService) -> None:
    assert not (await service.destroy_lxc("pve", 9001))["changed"]


async def test_stranger_is_not_touched_and_the_refused_create_is_repeated(
    service: ProxmoxService, pve: Simulator
) -> None:
    pve.plant(**STRANGER)
    before = pve.guest(9001)
    with pytest.raises(VmidTaken):
        await make(service)

    with pytest.raises(ForeignGuest, match=r"not touched.*CT 9001 already exists"):
        await service.destroy_lxc("pve", 9001, force=True)

    assert pve.guest(9001) == before


async def test_guest_of_another_service_is_foreign(
    service: ProxmoxService, connect: Connect, pve: Simulator
) -> None:
    await make(connect())
    before = pve.guest(9001)

    with pytest.raises(ForeignGuest, match="made no guest with this VMID"):
        await service.destroy_lxc("pve", 9001)

    assert pve.guest(9001) == before


async def test_stranger_that_took_over_our_vmid_is_not_touched(
    service: ProxmoxService, connect: Connect, pve: Simulator
) -> None:
    await make(service)
    pve.drop_guest(9001)
    await make(connect())
    before = pve.guest(9001)

    with pytest.raises(ForeignGuest, match="another has its VMID"):
        await service.destroy_lxc("pve", 9001)
    report = service.cleanup_test_containers()

    assert report.foreign == (9001,)
    assert pve.guest(9001) == before


async def test_stranger_that_was_cloned_into_our_vmid_is_not_touched(
    service: ProxmoxService, connect: Connect, pve: Simulator
) -> None:
    other = connect()
    await make(other, 9005)
    await make(service)
    pve.drop_guest(9001)
    await other.clone_lxc("pve", 9005, 9001)
    before = pve.guest(9001)

    with pytest.raises(CleanupIncomplete) as caught:
        service.cleanup_test_containers()

    assert caught.group_contains(ForeignGuest, match="nothing shows")
    assert pve.guest(9001) == before


async def test_virtual_machine_with_our_vmid_is_not_touched(
    service: ProxmoxService, pve: Simulator
) -> None:
    await make(service)
    pve.drop_guest(9001)
    before = pve.plant(vmid=9001, type="qemu", node="pve", status="stopped", config={})

    with pytest.raises(ForeignGuest, match="virtual machine"):
        await service.destroy_lxc("pve", 9001)

    assert pve.guest(9001) == before


async def test_protected_container_needs_force(service: ProxmoxService, pve: Simulator) -> None:
    await make(service, protection=1)

    with pytest.raises(ProtectedGuest):
        await service.destroy_lxc("pve", 9001)
    await service.destroy_lxc("pve", 9001, force=True)

    assert pve.guests() == []


async def test_warning_on_destroy_is_a_failure(service: ProxmoxService, pve: Simulator) -> None:
    await make(service)
    pve.faults.add(effect="task-warnings", task="vzdestroy", text="WARN: disk stays")

    with pytest.raises(TaskWarned, match="WARNINGS: 1"):
        await service.destroy_lxc("pve", 9001)


async def test_cleanup_removes_what_is_there_even_where_one_fails(
    service: ProxmoxService, pve: Simulator
) -> None:
    for vmid in (9001, 9002, 9003):
        await make(service, vmid)
    rule = pve.faults.add(effect="task-error", task="vzdestroy", vmid=9002, text="busy")

    with pytest.raises(CleanupIncomplete) as caught:
        service.cleanup_test_containers()
    assert caught.group_contains(TaskFailed, match="busy")
    assert [guest.vmid for guest in pve.guests()] == [9002]

    pve.faults.remove(rule)
    assert service.cleanup_test_containers().destroyed == (9002,)


async def test_cleanup_passes_strangers_in_the_same_range(
    service: ProxmoxService, pve: Simulator
) -> None:
    pve.plant(**{**STRANGER, "vmid": 9000})
    pve.plant(**{**STRANGER, "vmid": 9002, "status": "running"})
    before = pve.guests()
    await make(service)

    service.cleanup_test_containers()

    assert pve.guests() == before


async def test_cleanup_can_be_awaited(service: ProxmoxService) -> None:
    await make(service)

    report = await service.cleanup_test_containers()

    assert report.destroyed == (9001,)


# When things go wrong -------------------------------------------------------------------------


async def test_guest_whose_create_got_no_answer_is_found_and_removed(
    service: ProxmoxService, pve: Simulator
) -> None:
    pve.faults.add(effect="drop", phase="after", method="POST", path="/nodes/pve/lxc", times=1)

    with pytest.raises(OutcomeUnknown, match="may have run"):
        await make(service)
    assert pve.guest(9001) is not None

    assert service.cleanup_test_containers().destroyed == (9001,)
    assert pve.guests() == []


async def test_create_that_never_arrived_leaves_nothing_to_remove(
    service: ProxmoxService, pve: Simulator
) -> None:
    pve.faults.add(effect="drop", phase="before", method="POST", path="/nodes/pve/lxc", times=1)

    with pytest.raises(OutcomeUnknown):
        await make(service)

    assert service.cleanup_test_containers().absent == (9001,)


async def test_half_made_guest_of_a_killed_worker_is_recognised_as_ours(
    service: ProxmoxService, pve: Simulator
) -> None:
    pve.faults.add(effect="worker-killed", task="vzcreate")
    with pytest.raises(TaskFailed, match="unexpected status"):
        await make(service)

    # No way through the API frees a container with a lock: it must be told, not hidden.
    with pytest.raises(CleanupIncomplete) as caught:
        service.cleanup_test_containers()

    assert caught.group_contains(RequestFailed, match=r"CT is locked \(create\)")


async def test_failed_create_leaves_no_claim_on_the_vmid(
    service: ProxmoxService, pve: Simulator
) -> None:
    with pytest.raises(TemplateNotFound):
        await make(service, template="local:vztmpl/nope_1_amd64.tar.gz")
    stranger = pve.plant(**STRANGER)

    with pytest.raises(ForeignGuest):
        await service.destroy_lxc("pve", 9001)

    assert service.cleanup_test_containers().destroyed == ()
    assert pve.guest(9001) == stranger


async def test_cancelled_create_is_removed_by_the_cleanup(
    service: ProxmoxService, pve: Simulator
) -> None:
    pve.clock.mode = "manual"  # the create runs until somebody moves the time
    creating = asyncio.create_task(make(service))
    await eventually(lambda: pve.guest(9001) is not None)

    creating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await creating

    assert service.cleanup_test_containers().absent == (9001,)
    assert pve.guests() == []


async def test_expired_ticket_is_renewed_on_the_way(
    service: ProxmoxService, pve: Simulator
) -> None:
    pve.faults.add(effect="expired-ticket", method="POST", path="/nodes/pve/lxc", times=1)

    assert (await make(service))["status"] == "success"


async def test_many_containers_are_made_at_once(service: ProxmoxService, pve: Simulator) -> None:
    await asyncio.gather(*(make(service, vmid) for vmid in range(9001, 9009)))

    assert len(pve.guests()) == 8
    assert len(service.cleanup_test_containers().destroyed) == 8


async def test_listing_names_every_container_with_its_node(
    service: ProxmoxService, pve: Simulator
) -> None:
    pve.plant(**STRANGER)
    await make(service, 9002)

    listed = await service.get_lxc_containers()

    assert {(entry["vmid"], entry["node"]) for entry in listed} == {(9001, "pve"), (9002, "pve")}


async def test_status_of_a_broken_node_is_an_error_and_not_absence(
    service: ProxmoxService, pve: Simulator
) -> None:
    await make(service)
    pve.faults.add(effect="error", error="no-quorum", method="GET", path="/nodes/pve/lxc/**")

    with pytest.raises(RequestFailed, match="no quorum"):
        await service.get_lxc_status("pve", 9001)


async def test_connection_that_works_is_told_from_one_that_does_not(
    service: ProxmoxService, pve: Simulator
) -> None:
    assert await service.test_connection()

    pve.faults.add(effect="drop", path="/version")

    assert not await service.test_connection()
