"""Each named format takes what is right, refuses what is not, and none is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pytest_proxmox.simulator.schema import formats, load
from pytest_proxmox.simulator.schema.named_layouts import LAYOUTS

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

# format -> values that are right, values that are not
EXAMPLES: dict[str, tuple[list[str], list[str]]] = {
    "CIDR": (["10.0.0.0/8", "fd00::/64"], ["10.0.0.0", "10.0.0.0/33", "x/8", "1.1.1.1/8/8"]),
    "CIDRv4": (["10.0.0.1/24"], ["fd00::/64", "10.0.0.1/", "10.0.0.1/ 8"]),
    "CIDRv6": (["fd00::1/128"], ["fd00::1/129", "10.0.0.1/24"]),
    "IPorCIDR": (["10.0.0.1", "10.0.0.0/8", "::1"], ["host"]),
    "IPorCIDRorAlias": (["10.0.0.1", "dc/office", "fd00::/8"], ["a b", "1x"]),
    "address": (["10.0.0.1", "::1", "pve.example"], ["a b", "-x", ""]),
    "address-list": (["10.0.0.1,10.0.0.2", "10.0.0.1 pve", ""], ["10.0.0.1, a_b"]),
    "bridge-pair": (["vmbr0", "vmbr0:vmbr1", "1"], ["a b", ":"]),
    "disk-size": (["8G", "102M", "1024", "0.5T"], ["128k", "G", "-1G"]),
    "dns-name": (["a", "a.b", "A-1.example", "a" * 64], ["", "a_b", "-a", "a-", "a..b", "ä"]),
    "email": (["a@b.example"], ["a", "a@"]),
    "email-opt": (["", "a@b"], ["a b"]),
    "email-or-username": (["a@b.example", "root@pam"], ["root"]),
    "graphite-path": (["a.b_c"], ["a b"]),
    "ip": (["10.0.0.1", "::1"], ["10.0.0.300", "10.0.0.01", "fe80::1%eth0", "\0"]),
    "ipv4": (["10.0.0.1"], ["::1", "10.0.1", "\u0661.1.1.1"]),
    "ipv4mask": (["255.255.255.0", "0.0.0.0", "255.255.255.255"], ["255.0.255.0", "24"]),
    "ipv6": (["fd00::1"], ["10.0.0.1", ":::"]),
    "ldap-simple-attr": (["uid"], ["a=b"]),
    "lxc-ip-with-ll-iface-list": (["host", "10.0.0.1", "fe80::1%eth0"], ["fe80::1%", "x"]),
    "mac-addr": (["BC:24:11:00:00:01", "bc:24:11:00:00:01"], ["zz", "01:00:00:00:00:01"]),
    "mac-prefix": (["BC:24:11", "BC:24:11:"], ["01:24:11", "BC-24"]),
    "pem-certificate": ([PEM], ["x", PEM + PEM]),
    "pem-certificate-chain": ([PEM, PEM + PEM], ["", "x"]),
    "pem-string": ([PEM.replace("CERTIFICATE", "PRIVATE KEY")], ["x"]),
    "pve-acme-alias": (["a.example", "_x.a"], ["a b"]),
    "pve-acme-domain": (["*.a.example", "a.example"], ["*", "*.*.a"]),
    "pve-bridge-id": (["vmbr0"], ["vmbr 0", ""]),
    "pve-calendar-event": (["mon..fri 22:30", "*/5", "daily"], ["", "a;b"]),
    "pve-command-batch": (['[{"path": "/", "method": "GET"}]', "[]"], ["x", "{}", "[1]"]),
    "pve-configid": (["snap1", "a-b_c"], ["a", "1abc", "-x", "x.y", "a b", "ä"]),
    "pve-cpuset": (["0", "0,5,8-11"], ["a", "0-"]),
    "pve-ct-timezone": (["host", "Europe/Vienna", "Etc/GMT+1"], ["../x", ""]),
    "pve-day-of-week-list": (["mon,tue"], ["monday"]),
    "pve-dir-override-list": (["iso=/a,backup=/b"], ["iso"]),
    "pve-fw-addr-spec": (
        ["10.0.0.1", "10.0.0.1-10.0.0.9,10.1.0.0/16", "+dc/set", "alias"],
        ["1.2.3", "a b"],
    ),
    "pve-fw-conntrack-helper": (["", "ftp,tftp"], ["a/b"]),
    "pve-fw-dport-spec": (["80", "80:90,http"], ["90:80", "65536", "99999"]),
    "pve-fw-icmp-type-spec": (["echo-request", "3/1", "any"], ["-x"]),
    "pve-fw-protocol-spec": (["tcp", "6"], ["a b"]),
    "pve-fw-sport-spec": (["1024:65535"], ["-1"]),
    "pve-groupid": (["admins", "1a.b"], ["a b", ""]),
    "pve-ha-node-list": (["pve1:2,pve2"], ["pve1:x"]),
    "pve-ha-resource-id-list": (["vm:100,ct:101"], ["vm:99", "100"]),
    "pve-ha-resource-or-vm-id": (["vm:100", "100"], ["99", "vm"]),
    "pve-hotplug-features": (["0", "1", "network,disk,usb"], ["network,x", ""]),
    "pve-iface": (["eth0", "vmbr0.5", "eth0:1"], ["e", "0eth", "eth 0"]),
    "pve-ipv4-config": (["dhcp", "manual", "10.0.0.3/24"], ["10.0.0.3", "10.0.0.300/24"]),
    "pve-ipv6-config": (["auto", "dhcp", "fd00::3/64"], ["fd00::3", "10.0.0.3/24"]),
    "pve-lxc-dev-string": (["/dev/ttyUSB0"], ["dev", "/etc/x"]),
    "pve-lxc-mp-string": (["local:0.1", "/mnt/x", "0.2", "a..b"], ["local:1/..", "../x", "/a/./b"]),
    "pve-node": (["pve1", "a-b"], ["bad_node", "-a", ""]),
    "pve-phys-bits": (["8", "64", "host"], ["7", "65"]),
    "pve-poolid": (["p1", "p1/sub", "a/b9000-9009/n1"], ["bad pool", "1a", "a/b/c/d", "a/"]),
    "pve-priv-list": (["VM.Audit,Sys.Audit", ""], ["No.Such", "VM.Audit,vm.audit"]),
    "pve-qm-bootdisk": (["scsi0"], ["net0"]),
    "pve-realm": (["pam", "my-realm"], ["p", "1a"]),
    "pve-replication-job-id": (["100-0"], ["99-0", "100"]),
    "pve-roleid": (["PVEAdmin"], ["a b"]),
    "pve-sdn-bgp-rt-list": (["65000:1,10.0.0.1:5"], ["x"]),
    "pve-sdn-fabric-id": (["fab1"], ["f", "toolongid"]),
    "pve-sdn-isis-net": (["49.0001.1921.6800.1002.00"], ["49"]),
    "pve-sdn-subnet-id": (["zone1-10.0.0.0-24", "10.0.0.0/24"], ["zone1"]),
    "pve-storage-content-list": (["images,rootdir", "iso", ""], ["bogus", "iso,bogus"]),
    "pve-storage-id": (["local", "local-lvm"], ["1bad", "a", "", "a b", "local-"]),
    "pve-storage-options": (["vers=4.2,soft"], ["a b"]),
    "pve-storage-path": (["/srv/x"], ["rel", ""]),
    "pve-storage-path-in-property-string": (["/srv/x"], ["rel", "/a,b"]),
    "pve-storage-portal-dns-list": (["10.0.0.1:3260,mon1,[fd00::1]:6789,fd00::1"], ["a b:x_y"]),
    "pve-storage-server": (["nas.example", "10.0.0.1"], ["a_b"]),
    "pve-storage-vgname": (["pve", "data+1"], ["a/b", ""]),
    "pve-storage-zfs-blocksize": (["8k", "16384"], ["8G"]),
    "pve-tag-list": (["a;b,c d", "_x.1", ""], ["bad tag!", "ä"]),
    "pve-task-status-type-list": (["ok,error", "unknown"], ["bad"]),
    "pve-tokenid-list": (["root@pam!ci"], ["root@pam"]),
    "pve-userid-list": (["root@pam,joe@pve"], ["root"]),
    "pve-vlan-id-or-range-list": (["2-4094", "5,7"], ["0", "9-5", "4095"]),
    "pve-vmid": (["100", "999999999"], ["99", "0100", "1000000000", "-1", "0"]),
    "pve-vmid-list": (["100,101", "100 101"], ["100,99"]),
    "pve-volume-id": (["local:iso/a.iso"], ["local", "1:x"]),
    "pve-volume-id-or-absolute-path": (["local:x", "/a"], ["a"]),
    "pve-volume-id-or-qm-path": (["none", "cdrom", "/dev/sdb", "local:1"], ["local"]),
    "storage-pair-list": (["1", "a1:b1,c1"], ["a:b:c"]),
    "string-list": (["anything; at all"], []),
    "pve-node-location": (["anything"], []),
    "urlencoded": (["a%20b"], ["a b", "ä"]),
}

CASES = [(name, text) for name, (right, _) in EXAMPLES.items() for text in right]
WRONG = [(name, text) for name, (_, wrong) in EXAMPLES.items() for text in wrong]


def named(facts: Any) -> Iterator[str]:
    """Yield the name of every format below ``facts``."""
    if isinstance(facts, dict):
        if isinstance(facts.get("format"), str):
            yield facts["format"]
        for value in facts.values():
            yield from named(value)
    elif isinstance(facts, list):
        for value in facts:
            yield from named(value)


def in_use() -> set[str]:
    """Return every format name of the API, those of the named property strings included."""
    used = set(named({name: dict(layout) for name, layout in LAYOUTS.items()}))
    for method in load().methods():
        used.update(named(method.parameters), named(method.returns))
    return used


@pytest.mark.parametrize(("name", "text"), CASES, ids=repr)
def test_right_value_is_taken(name: str, text: str) -> None:
    check = formats.check(name)
    assert check
    assert check(text) is None


@pytest.mark.parametrize(("name", "text"), WRONG, ids=repr)
def test_wrong_value_is_refused(name: str, text: str) -> None:
    check = formats.check(name)
    assert check
    assert check(text)


def test_every_format_of_the_api_is_known() -> None:
    # pve-qm-ide is the format of ide[n], which is written out next to it
    unknown = {name for name in in_use() if name not in LAYOUTS and not formats.check(name)}
    assert unknown == {"pve-qm-ide"}


def test_every_format_has_an_example() -> None:
    stems = {name.removesuffix("-list").removesuffix("-opt") for name in EXAMPLES}
    missing = {
        name
        for name in in_use() - set(LAYOUTS) - {"pve-qm-ide"}
        if name.removesuffix("-list").removesuffix("-opt") not in stems
    }
    assert not missing


@pytest.mark.parametrize("name", ["nope", "nope-list", "-list", "list", ""])
def test_unknown_format_is_none(name: str) -> None:
    assert formats.check(name) is None


def test_list_is_parted_by_commas_semicolons_blanks_and_nulls() -> None:
    assert formats.split_list(" a,b;;c d\0e\n") == ["a", "b", "c", "d", "e"]
