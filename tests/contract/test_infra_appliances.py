"""Templates and images that the world offers for download."""

from __future__ import annotations

import pytest

from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.world import World

from .client import Client

FILE = "debian-12-standard_12.7-1_amd64.tar.zst"
URL = f"http://download.example/images/system/{FILE}"
ISO = "http://download.example/iso/tiny.iso"


@pytest.fixture
def offered() -> Client:
    """Root on a node whose world offers a template, an ISO and two tags of an OCI image."""
    world = {
        "nodes": {"pve": {}},
        "storages": {
            "local": {"type": "dir", "path": "/var/lib/vz", "content": ["vztmpl"], "size": 10**10},
            "lvm": {"type": "lvmthin", "content": ["rootdir"], "size": 10**10},
        },
        "downloads": {
            URL: {"size": 5000, "ostype": "debian"},
            ISO: {"size": 700},
            "registry.example/app:1.0": {"size": 10},
            "registry.example/app:2.0": {"size": 20},
        },
    }
    return Client.login(Simulator(World.parse(world, origin="test")))


def test_templates_are_listed_by_their_names(offered: Client) -> None:
    [entry] = offered.get("/nodes/pve/aplinfo").data
    assert (entry["template"], entry["package"]) == (FILE, "debian-12-standard")
    assert (entry["os"], entry["version"], entry["location"]) == ("debian", "12.7-1", URL)


def test_a_template_is_fetched_onto_a_storage(offered: Client) -> None:
    fetched = offered.post("/nodes/pve/aplinfo", storage="local", template=FILE)
    assert offered.finish(fetched) == "OK"
    [volume] = offered.get("/nodes/pve/storage/local/content").data
    assert (volume["volid"], volume["size"]) == (f"local:vztmpl/{FILE}", 5000)


def test_a_template_that_cannot_be_fetched_is_refused(offered: Client) -> None:
    unknown = offered.post("/nodes/pve/aplinfo", storage="local", template="no.tar.zst")
    elsewhere = offered.post("/nodes/pve/aplinfo", storage="lvm", template=FILE)
    assert unknown.errors == {"template": "no such template"}
    assert elsewhere.refusal == (500, "storage 'lvm' does not support templates")


def test_what_lies_under_a_url_is_told_before_it_is_fetched(offered: Client) -> None:
    found = offered.get("/nodes/pve/query-url-metadata", url=ISO).data
    assert found == {
        "filename": "tiny.iso",
        "mimetype": "application/x-iso9660-image",
        "size": 700,
    }
    missing = offered.get("/nodes/pve/query-url-metadata", url=ISO + "x")
    assert missing.refusal == (500, "invalid server response: '404 Not Found'")


def test_an_oci_repository_has_tags(offered: Client) -> None:
    path = "/nodes/pve/query-oci-repo-tags"
    assert offered.get(path, reference="registry.example/app").data == ["1.0", "2.0"]
    assert offered.get(path, reference="registry.example/none").status == 500
