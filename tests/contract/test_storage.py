"""Storages: definitions, how full, volumes, what comes from outside (golden 07, 08, 11, 14)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from urllib3.filepost import encode_multipart_formdata

from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.wire import Request

from .client import Client, Said
from .container_room import GIB, IMAGE, MIB, SHA, TEMPLATE, URL, backup, content, create, login

HERE = "/nodes/pve/storage"
S1: dict[str, Any] = {"storage": "s1", "type": "dir", "path": "/srv/s1"}


@pytest.fixture
def pve() -> Client:
    """Root on a node with storages of every ability."""
    return login()


def upload(pve: Client, storage: str = "local", **parts: Any) -> Said:
    """Send a form with a file as a client does."""
    body, kind = encode_multipart_formdata(parts)
    target = f"/api2/json{HERE}/{storage}/upload"
    answer = pve.sim.handle(Request("POST", target, pve.headers | {"content-type": kind}, body))
    return Said(answer.status, answer.reason, json.loads(answer.body))


def at(volid: str) -> str:
    """Return the path of a volume."""
    return f"{HERE}/{volid.partition(':')[0]}/content/{quote(volid, safe='')}"


# --- definitions ----------------------------------------------------------------------------------


def test_a_definition_is_kept_as_it_was_given(pve: Client) -> None:
    said = pve.post("/storage", content="images", nodes="pve", **S1)
    assert said.data == {"storage": "s1", "type": "dir"}
    found = pve.get("/storage/s1").data
    digest = found.pop("digest")
    assert found == S1 | {"content": "images", "nodes": "pve"}
    listed = {row["storage"]: row for row in pve.get("/storage").data}
    assert listed["s1"] == found | {"digest": digest}


def test_a_change_is_kept_and_a_deleted_option_is_gone(pve: Client) -> None:
    pve.post("/storage", content="images", nodes="pve", **S1)
    pve.put(
        "/storage/s1", content="images,rootdir", delete="nodes", **{"prune-backups": "keep-last=3"}
    )
    found = pve.get("/storage/s1").data
    assert sorted(found["content"].split(",")) == ["images", "rootdir"]
    assert found["prune-backups"] == "keep-last=3"
    assert "nodes" not in found


def test_a_change_against_another_version_is_refused(pve: Client) -> None:
    pve.post("/storage", **S1)
    digest = pve.get("/storage/s1").data["digest"]
    pve.put("/storage/s1", disable=1)
    said = pve.put("/storage/s1", disable=0, digest=digest)
    assert said.status == 500
    assert said.reason.startswith("detected modified configuration")
    assert pve.get("/storage/s1").data["disable"] == 1


@pytest.mark.parametrize(
    ("params", "refusal"),
    [
        (S1, (500, "create storage failed: storage ID 's1' already defined")),
        ({"storage": "s2", "type": "dir"}, (500, "missing value for required option 'path'")),
        (S1 | {"storage": "1bad"}, (400, "Parameter verification failed.")),
        (S1 | {"storage": "s2", "type": "bogus"}, (400, "Parameter verification failed.")),
        (S1 | {"storage": "s2", "path": "rel"}, (400, "Parameter verification failed.")),
        (S1 | {"storage": "s2", "content": "bogus"}, (400, "Parameter verification failed.")),
    ],
    ids=["taken", "no path", "name", "type", "relative path", "content"],
)
def test_a_wrong_definition_is_refused(
    pve: Client, params: dict[str, Any], refusal: tuple[int, str]
) -> None:
    pve.post("/storage", **S1)
    assert pve.post("/storage", **params).refusal == refusal
    assert "s2" not in {row["storage"] for row in pve.get("/storage").data}


def test_what_is_not_defined_is_named_in_each_refusal(pve: Client) -> None:
    assert pve.get("/storage/no").refusal == (500, "storage 'no' does not exist")
    missing = "update storage failed: storage 'no' does not exist"
    assert pve.put("/storage/no", disable=1).refusal == (500, missing)
    missing = "delete storage failed: storage 'no' does not exist"
    assert pve.delete("/storage/no").refusal == (500, missing)


def test_a_definition_goes_and_its_volumes_come_back_with_it(pve: Client) -> None:
    pve.post("/storage", content="images", **S1)
    pve.post("/pools", poolid="ci")
    pve.put("/pools/ci", storage="s1")
    pve.post(HERE + "/s1/content", vmid=7000, filename="vm-7000-disk-0.raw", size="10M")
    assert pve.delete("/storage/s1").data is None
    assert pve.get(HERE + "/s1/content").refusal == (500, "storage 's1' does not exist")
    assert pve.get("/pools", poolid="ci").data[0]["members"] == []
    pve.post("/storage", content="images", **S1)
    assert list(content(pve, "s1")) == ["s1:7000/vm-7000-disk-0.raw"]


# --- how full -------------------------------------------------------------------------------------


def test_a_storage_fills_and_empties(pve: Client) -> None:
    empty = pve.get(HERE + "/thin/status").data
    create(pve)
    filled = pve.get(HERE + "/thin/status").data
    assert (empty["used"], filled["used"]) == (0, 3 * MIB)
    assert filled["avail"] == filled["total"] - filled["used"]
    pve.finish(pve.delete("/nodes/pve/lxc/100"))
    assert pve.get(HERE + "/thin/status").data == empty


def test_a_disabled_storage_has_no_size_and_no_content(pve: Client) -> None:
    pve.post("/storage", **S1)
    pve.put("/storage/s1", disable=1)
    found = pve.get(HERE + "/s1/status").data
    assert [found[key] for key in ("enabled", "active", "total", "used")] == [0, 0, 0, 0]
    assert pve.get(HERE + "/s1/content").refusal == (500, "storage 's1' is disabled")
    enabled = [row["storage"] for row in pve.get(HERE, enabled=1).data]
    assert "s1" not in enabled


def test_the_list_of_a_node_can_be_narrowed(pve: Client) -> None:
    def names(**params: Any) -> set[str]:
        return {row["storage"] for row in pve.get(HERE, **params).data}

    assert names() == {"local", "thin", "tank", "bak"}
    assert names(content="backup") == {"local", "bak"}
    assert names(storage="thin") == {"thin"}
    assert names(target="pve9") == set()
    (row,) = pve.get(HERE, storage="local", format=1).data
    assert row["formats"]["default"] == "raw"


def test_a_storage_of_another_node_is_not_here(cluster: Client) -> None:
    cluster.post("/storage", nodes="pve2", **S1)
    on = {
        node: {row["storage"] for row in cluster.get(f"/nodes/{node}/storage").data}
        for node in ("pve1", "pve2")
    }
    assert "s1" in on["pve2"]
    assert "s1" not in on["pve1"]
    refusal = (500, "storage 's1' is not available on node 'pve1'")
    assert cluster.get("/nodes/pve1/storage/s1/content").refusal == refusal


def test_a_storage_tells_what_is_below_it(pve: Client) -> None:
    names = {row["subdir"] for row in pve.get(HERE + "/local").data}
    assert {"content", "status", "upload", "download-url", "prunebackups"} <= names


def test_the_status_of_nothing_is_a_wrong_parameter(pve: Client) -> None:
    said = pve.get(HERE + "/no/status")
    assert said.errors == {"storage": "No such storage."}


# --- volumes --------------------------------------------------------------------------------------


def test_a_disk_can_be_allocated_read_and_removed(pve: Client) -> None:
    said = pve.post(HERE + "/local/content", vmid=777, filename="vm-777-disk-0.raw", size="10M")
    volid = "local:777/vm-777-disk-0.raw"
    assert said.data == volid
    row = content(pve, "local")[volid]
    assert (row["size"], row["vmid"], row["content"]) == (10 * MIB, 777, "images")
    found = pve.get(at(volid)).data
    assert found["path"] == "/var/lib/vz/images/777/vm-777-disk-0.raw"
    assert pve.finish(pve.delete(at(volid))) == "OK"
    assert volid not in content(pve, "local")


def test_a_disk_is_not_allocated_twice(pve: Client) -> None:
    params = {"vmid": 777, "filename": "vm-777-disk-0.raw", "size": "10M"}
    pve.post(HERE + "/local/content", **params)
    path = "/var/lib/vz/images/777/vm-777-disk-0.raw"
    refusal = (500, f"disk image '{path}' already exists")
    assert pve.post(HERE + "/local/content", **params).refusal == refusal


def test_what_is_not_there_is_removed_all_the_same(pve: Client) -> None:
    said = pve.delete(at("local:vztmpl/nope.tar.gz"))
    assert ":imgdel:local:root@pam:" in said.data
    assert pve.finish(said) == "OK"
    said = pve.delete(at("thin:vm-123-disk-0"))
    assert ":imgdel:123@thin:root@pam:" in said.data


def test_a_removal_may_be_waited_for(pve: Client) -> None:
    pve.post(HERE + "/thin/content", vmid=777, filename="vm-777-disk-0", size="10M")
    assert pve.delete(at("thin:vm-777-disk-0"), delay=5).data is None
    assert content(pve, "thin") == {}


def test_a_volume_is_looked_for_on_its_own_storage(pve: Client) -> None:
    path = f"{HERE}/local/content/{quote('thin:vm-1-disk-0', safe='')}"
    assert pve.get(path).errors == {"volume": "storage ID mismatch (thin != local)\n"}
    refusal = (500, "unable to parse directory volume name 'nonsense'")
    assert pve.delete(HERE + "/local/content/nonsense").refusal == refusal


def test_a_volume_can_be_copied(pve: Client) -> None:
    pve.post(HERE + "/thin/content", vmid=777, filename="vm-777-disk-0", size="10M")
    said = pve.post(at("thin:vm-777-disk-0"), target="vm-778-disk-0")
    assert pve.finish(said) == "OK"
    row = content(pve, "thin")["thin:vm-778-disk-0"]
    assert (row["size"], row["vmid"]) == (10 * MIB, 778)
    again = pve.post(at("thin:vm-777-disk-0"), target="vm-778-disk-0")
    assert pve.finish(again) == "volume 'thin:vm-778-disk-0' already exists"


def test_a_copy_can_go_to_another_node(cluster: Client) -> None:
    path = "/nodes/pve1/storage/local-lvm/content"
    cluster.post(path, vmid=777, filename="vm-777-disk-0", size="10M")
    copy = {"target": "vm-777-disk-0", "target_node": "pve2"}
    volume = path + "/local-lvm%3Avm-777-disk-0"
    assert cluster.finish(cluster.post(volume, **copy)) == "OK"
    assert list(content(cluster, "local-lvm", node="pve2")) == ["local-lvm:vm-777-disk-0"]
    nowhere = cluster.post(volume, **(copy | {"target_node": "pve9"}))
    assert nowhere.refusal == (500, "no such cluster node 'pve9'")


def test_only_root_copies(pve: Client) -> None:
    pve.post("/access/users", userid="ann@pve", password="secret123")
    pve.put("/access/acl", path="/", users="ann@pve", roles="Administrator")
    said = pve.as_user("ann@pve").post(at("thin:vm-777-disk-0"), target="vm-778-disk-0")
    assert said.refusal == (403, "Permission check failed (user != root@pam)")


def test_a_local_volume_is_seen_on_its_node_and_a_shared_one_on_all(cluster: Client) -> None:
    for storage, name in (("local-lvm", "vm-777-disk-0"), ("shared", "vm-777-disk-0.raw")):
        path = f"/nodes/pve1/storage/{storage}/content"
        assert cluster.post(path, vmid=777, filename=name, size="10M").status == 200
    seen = {
        node: [*content(cluster, "local-lvm", node=node), *content(cluster, "shared", node=node)]
        for node in ("pve1", "pve2")
    }
    assert seen["pve1"] == ["local-lvm:vm-777-disk-0", "shared:777/vm-777-disk-0.raw"]
    assert seen["pve2"] == ["shared:777/vm-777-disk-0.raw"]


# --- notes and protection -------------------------------------------------------------------------


@pytest.fixture
def archive(pve: Client) -> str:
    """The backup of container 100."""
    create(pve)
    assert backup(pve) == "OK"
    (found,) = content(pve, "bak")
    return found


def test_notes_are_kept_and_lists_show_their_first_line(pve: Client, archive: str) -> None:
    assert pve.put(at(archive), notes="hello\nnote").data is None
    assert pve.get(at(archive)).data["notes"] == "hello\nnote"
    assert content(pve, "bak")[archive]["notes"] == "hello"


def test_a_protected_backup_stays_until_it_is_not(pve: Client, archive: str) -> None:
    pve.put(at(archive), protected=1)
    assert content(pve, "bak")[archive]["protected"] == 1
    name = archive.partition(":")[2]
    ending = pve.finish(pve.delete(at(archive)))
    assert ending == f"cannot remove protected volume '{name}' on 'bak'"
    pve.put(at(archive), protected=0)
    assert pve.finish(pve.delete(at(archive))) == "OK"
    assert content(pve, "bak") == {}


def test_only_backups_have_notes(pve: Client, archive: str) -> None:
    assert pve.put(at("thin:vm-100-disk-0"), notes="x").status == 500
    missing = "bak:backup/vzdump-lxc-400-2020_01_01-00_00_00.tar"
    refusal = (500, f"volume_size_info on '{missing}' failed - no format")
    assert pve.put(at(missing), notes="x").refusal == refusal


def test_a_backup_belongs_to_who_may_back_its_guest_up(pve: Client, archive: str) -> None:
    pve.post("/access/users", userid="ann@pve", password="secret123")
    pve.put("/access/acl", path="/storage/bak", users="ann@pve", roles="PVEDatastoreUser")
    ann = pve.as_user("ann@pve")
    refusal = (403, "Permission check failed (/vms/100, VM.Backup)")
    assert content(ann, "bak") == {}
    assert ann.put(at(archive), notes="mine").refusal == refusal
    assert ann.delete(at(archive)).refusal == refusal
    pve.put("/access/acl", path="/vms/100", users="ann@pve", roles="PVEVMAdmin")
    assert ann.put(at(archive), notes="mine").status == 200
    assert ann.finish(ann.delete(at(archive))) == "OK"


# --- from outside ---------------------------------------------------------------------------------


def test_an_upload_lies_where_its_content_says(pve: Client) -> None:
    said = upload(pve, content="iso", filename=("debian.iso", b"x" * 1000))
    assert pve.finish(said) == "OK"
    row = content(pve, "local", content="iso")["local:iso/debian.iso"]
    assert (row["size"], row["format"]) == (1000, "iso")
    assert pve.get(at("local:iso/debian.iso")).data["path"] == "/var/lib/vz/template/iso/debian.iso"


def test_an_upload_replaces_what_has_its_name(pve: Client) -> None:
    for size in (10, 20):
        pve.finish(upload(pve, content="iso", filename=("a.iso", b"x" * size)))
    assert content(pve, "local")["local:iso/a.iso"]["size"] == 20


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        ("iso", "a.txt", "wrong file extension"),
        ("vztmpl", "a.iso", "wrong file extension"),
        ("import", "a.iso", "invalid filename or wrong extension"),
        ("iso", "../a.iso", "wrong file extension"),
    ],
    ids=["iso", "template", "import", "folder"],
)
def test_an_upload_must_be_called_what_it_is(pve: Client, kind: str, name: str, text: str) -> None:
    said = upload(pve, content=kind, filename=(name, b"x"))
    assert (said.status, said.errors) == (400, {"filename": text})
    assert len(content(pve, "local")) == 1


def test_an_upload_without_a_file_or_onto_the_wrong_storage_is_refused(pve: Client) -> None:
    without = upload(pve, content="iso", filename="a.iso")
    assert set(without.errors) == {"filename"}
    wrong = upload(pve, "bak", content="iso", filename=("a.iso", b"x"))
    assert wrong.refusal == (500, "storage 'bak' does not support 'iso' content")


def test_an_upload_needs_the_right_to_allocate_templates(pve: Client) -> None:
    pve.post("/access/users", userid="ann@pve", password="secret123")
    ann = pve.as_user("ann@pve")
    said = upload(ann, content="iso", filename=("a.iso", b"x"))
    assert said.refusal[0] == 403
    pve.put("/access/acl", path="/storage/local", users="ann@pve", roles="PVEDatastoreAdmin")
    assert ann.finish(upload(ann, content="iso", filename=("a.iso", b"x"))) == "OK"


def test_a_download_brings_what_the_world_offers(pve: Client) -> None:
    params = {"content": "iso", "filename": "debian.iso", "url": URL}
    digest = {"checksum": SHA, "checksum-algorithm": "sha256"}
    assert pve.finish(pve.post(HERE + "/local/download-url", **params, **digest)) == "OK"
    assert content(pve, "local")["local:iso/debian.iso"]["size"] == 700 * MIB
    again = pve.finish(pve.post(HERE + "/local/download-url", **params))
    assert again == "refusing to override existing file '/var/lib/vz/template/iso/debian.iso'"


def test_a_download_fails_where_nothing_is_or_something_else(pve: Client) -> None:
    params = {"content": "iso", "filename": "debian.iso"}
    missing = pve.post(HERE + "/local/download-url", url=URL + "x", **params)
    assert pve.finish(missing) == f"download failed: 404 Not Found: {URL}x"
    digest = {"checksum": "1" * 64, "checksum-algorithm": "sha256"}
    other = pve.post(HERE + "/local/download-url", url=URL, **params, **digest)
    assert pve.finish(other) == f"checksum mismatch: got '{SHA}' != expect '{'1' * 64}'"
    assert list(content(pve, "local")) == [TEMPLATE]


def test_an_image_of_a_registry_becomes_a_template(pve: Client) -> None:
    said = pve.post(HERE + "/local/oci-registry-pull", reference=IMAGE)
    assert pve.finish(said) == "OK"
    volid = "local:vztmpl/nginx_1.27.tar"
    assert content(pve, "local", content="vztmpl")[volid]["size"] == 60 * MIB
    made = pve.post("/nodes/pve/lxc", vmid=100, ostemplate=volid, rootfs="thin:1")
    assert pve.finish(made) == "OK"
    unknown = pve.post(HERE + "/local/oci-registry-pull", reference=IMAGE + "9")
    assert pve.finish(unknown).startswith("download failed: 404 Not Found")


def test_a_world_is_where_it_was_after_a_reset(pve: Client) -> None:
    before = content(pve, "local")
    saved = pve.sim.snapshot()
    pve.finish(upload(pve, content="iso", filename=("a.iso", b"x")))
    pve.sim.restore(saved)
    assert content(pve, "local") == before


def test_the_sizes_of_a_listing_add_up(sim: Simulator) -> None:
    pve = Client.login(sim)
    create(pve, rootfs="local-lvm:2")
    rows = content(pve, "local-lvm").values()
    assert sum(row["size"] for row in rows) == 2 * GIB
    assert sum(row["used"] for row in rows) == pve.get(HERE + "/local-lvm/status").data["used"]
