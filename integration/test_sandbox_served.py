"""The sandbox's suite unchanged on ``--proxmox real``: here a served one, over HTTPS."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from integration.serving import serving

RIGHTS = (
    "VM.Allocate,VM.Audit,VM.Clone,VM.Config.Disk,VM.Config.CPU,VM.Config.Memory,"
    "VM.Config.Network,VM.Config.Options,VM.PowerMgmt,VM.Snapshot,VM.Snapshot.Rollback,"
    "VM.Backup,Datastore.AllocateSpace,Datastore.Audit,SDN.Use,Pool.Audit,Pool.Allocate"
)
ROOT = Path(__file__).parents[1]


def weak_token(api: Any) -> dict[str, str]:
    """Make a token with the least rights that a sandbox needs, and return what logs it in."""
    api.access.roles.post(roleid="PytestSandbox", privs=RIGHTS)
    api.pools.post(poolid="pytest")
    api.access.users.post(userid="pt@pve")
    made = api.access.users("pt@pve").token("ci").post(privsep=1)
    paths = ["/pool/pytest", "/sdn/zones/localnetwork"]
    paths += [f"/storage/{row['storage']}" for row in api.storage.get()]
    for path in paths:
        for key, name in (("users", "pt@pve"), ("tokens", "pt@pve!ci")):
            api.access.acl.put(path=path, roles="PytestSandbox", **{key: name})
    return {
        "PROXMOX_USER": "pt@pve",
        "PROXMOX_PASSWORD": "",
        "PROXMOX_TOKEN_NAME": "ci",
        "PROXMOX_TOKEN_VALUE": made["value"],
    }


@pytest.mark.parametrize("who", ["root", "a weak token"])
def test_the_sandboxs_suite_passes_on_a_real_target(who: str, tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        node = served.api.nodes(served.ready["node"])
        order = {"ostemplate": served.ready["template"], "rootfs": f"{served.ready['storage']}:1"}
        for vmid in (9000, 9003):
            task = node.lxc.post(vmid=vmid, hostname="theirs", **order)
            while node.tasks(task).status.get()["status"] != "stopped":
                pass
        before = [node.lxc(vmid).config.get() for vmid in (9000, 9003)]
        login = weak_token(served.api) if who != "root" else {}
        environ = {name: text for name, text in os.environ.items() if "PROXMOX" not in name}
        environ |= served.environment | login | {"PROXMOX_HOST": served.address}
        environ["XDG_STATE_HOME"] = str(tmp_path / "state")

        command = [sys.executable, "-m", "pytest", "-q", "integration/sandbox", "--proxmox", "real"]
        done = subprocess.run(
            [*command, "-p", "no:cacheprovider"],
            cwd=ROOT,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.returncode == 0, done.stdout + done.stderr
        assert "skipped" not in done.stdout
        assert served.guests() == [9000, 9003]
        assert [node.lxc(vmid).config.get() for vmid in (9000, 9003)] == before
        assert [row["poolid"] for row in served.api.pools.get()] == ["pytest"]
