"""proxmoxer as its users use it, over HTTPS with a verified certificate and in-process."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import requests
from proxmoxer import AuthenticationError, ResourceException
from proxmoxer.backends.https import STREAMING_SIZE_THRESHOLD
from proxmoxer.tools import Tasks

from integration.clients.conftest import Reached
from pytest_proxmox.simulator.server import Server
from pytest_proxmox.simulator.simulator import Simulator

TEMPLATE = "local:vztmpl/alpine-3.18-default_20230607_amd64.tar.xz"


def wait(api: Any, upid: str) -> str:
    """Return the exit status of a task as proxmoxer's own helper finds it."""
    return str(Tasks.blocking_status(api, upid, polling_interval=0)["exitstatus"])


def create(api: Any, vmid: int = 100, **params: Any) -> str:
    upid = api.nodes("pve").lxc.post(vmid=vmid, ostemplate=TEMPLATE, rootfs="local-lvm:1", **params)
    assert wait(api, upid) == "OK"
    return str(upid)


@pytest.fixture
def api(reached: Reached) -> Any:
    """A client of root's with a ticket."""
    return reached.login()


def test_every_verb_does_what_it_says(api: Any) -> None:
    create(api, hostname="web")
    container = api.nodes("pve").lxc(100)
    container.config.put(memory=256, description="two\nlines")
    config = container.config.get()
    assert (config["hostname"], config["memory"]) == ("web", 256)
    assert config["description"] == "two\nlines\n"
    assert wait(api, container.delete(purge=1)) == "OK"
    assert api.nodes("pve").lxc.get() == []


def test_create_and_set_are_the_same_verbs_by_other_names(api: Any) -> None:
    api.pools.create(poolid="ci")
    api.pools("ci").set(comment="for tests")
    assert api.pools("ci").get()["comment"] == "for tests"


def test_paths_may_be_written_as_attributes_calls_or_text(api: Any) -> None:
    by_attribute = api.nodes.pve.status.get()["memory"]["total"]
    by_call = api.nodes("pve").status.get()["memory"]["total"]
    by_text = api("/nodes/pve/status").get()["memory"]["total"]
    assert by_attribute == by_call == by_text


def test_a_token_logs_in_without_a_ticket(reached: Reached) -> None:
    token = reached.sim.credentials
    name = token.token_id.partition("!")[2]
    api = reached.login(user=token.user, token_name=name, token_value=token.token_secret)
    assert api.version.get()["release"] == "9.2"
    assert reached.sim.calls[-1].user == token.token_id
    assert not [call for call in reached.sim.calls if call.path == "/access/ticket"]


def test_a_wrong_password_is_an_authentication_error(reached: Reached) -> None:
    with pytest.raises(AuthenticationError, match="Couldn't authenticate user: root@pam"):
        reached.login(user="root@pam", password="wrong")


def test_a_refusal_carries_status_reason_and_errors(api: Any) -> None:
    with pytest.raises(ResourceException) as caught:
        api.nodes("pve").lxc.post(vmid=5, ostemplate=TEMPLATE)
    assert (caught.value.status_code, caught.value.status_message) == (400, "Bad Request")
    assert caught.value.content == "Parameter verification failed."
    assert set(caught.value.errors) == {"vmid"}


def test_a_client_that_renews_its_ticket_stays_logged_in(reached: Reached) -> None:
    api = reached.login()
    api._backend.auth.renew_age = 0  # every request is late: proxmoxer asks anew each time
    first = api.get_tokens()[0]
    for _ in range(3):
        reached.sim.clock.advance(5400)
        assert api.version.get()["release"] == "9.2"
    assert api.get_tokens()[0] != first


def test_a_ticket_that_nobody_renews_is_over_after_two_hours(reached: Reached) -> None:
    api = reached.login()
    reached.sim.clock.advance(7300)
    with pytest.raises(ResourceException, match="401"):
        api.version.get()


def test_an_authority_that_is_not_trusted_is_refused(sim: Simulator) -> None:
    with Server(sim) as server:
        stranger = Reached(sim, "127.0.0.1", server.port, verify=True)
        with pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            stranger.login()


def test_an_uploaded_template_can_be_used(api: Any, tmp_path: Path) -> None:
    file = tmp_path / "mini-1.0_amd64.tar.gz"
    file.write_bytes(bytes(range(256)) * 40)
    with file.open("rb") as content:
        upid = api.nodes("pve").storage("local").upload.post(content="vztmpl", filename=content)
    assert wait(api, upid) == "OK"
    listed = {row["volid"]: row for row in api.nodes("pve").storage("local").content.get()}
    assert listed["local:vztmpl/mini-1.0_amd64.tar.gz"]["size"] == 256 * 40
    upid = api.nodes("pve").lxc.post(
        vmid=100, ostemplate="local:vztmpl/mini-1.0_amd64.tar.gz", rootfs="local-lvm:1"
    )
    assert wait(api, upid) == "OK"


@pytest.mark.parametrize("good", [True, False], ids=["right", "wrong"])
def test_a_checksum_is_looked_at(api: Any, tmp_path: Path, *, good: bool) -> None:
    file = tmp_path / "disc.iso"
    file.write_bytes(b"\r\n--\r\n not a boundary")
    digest = hashlib.sha256(file.read_bytes() if good else b"").hexdigest()
    how = {"content": "iso", "checksum": digest, "checksum-algorithm": "sha256"}
    with file.open("rb") as content:
        upid = api.nodes("pve").storage("local").upload.post(filename=content, **how)
    status = wait(api, upid)
    assert status == "OK" if good else status.startswith("checksum mismatch: got '")


def test_a_large_file_comes_in_as_a_stream(api: Any, tmp_path: Path) -> None:
    pytest.importorskip("requests_toolbelt", reason="requests-toolbelt: streams large files")
    file = tmp_path / "large.iso"
    size = STREAMING_SIZE_THRESHOLD + 1234
    with file.open("wb") as hole:
        hole.truncate(size)
    with file.open("rb") as content:
        upid = api.nodes("pve").storage("local").upload.post(content="iso", filename=content)
    assert wait(api, upid) == "OK"
    listed = {row["volid"]: row for row in api.nodes("pve").storage("local").content.get()}
    assert listed["local:iso/large.iso"]["size"] == size


def test_a_upid_and_a_log_can_be_decoded(api: Any) -> None:
    upid = create(api)
    told = Tasks.decode_upid(upid)
    assert (told["node"], told["type"], told["id"]) == ("pve", "vzcreate", "100")
    assert told["user"] == "root@pam"
    task = api.nodes("pve").tasks(upid)
    assert told["starttime"] == task.status.get()["starttime"]
    log = Tasks.decode_log(task.log.get())
    assert log.splitlines()[-1] == "TASK OK"
