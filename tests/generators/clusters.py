"""A cluster with one guest of each sort, each with every setting that code is made of."""

from __future__ import annotations

from src_app.iac.state import GIB, MIB, ClusterState, GuestFacts, NodeFacts, StorageFacts

SECRET = "hunter2-5f4dcc3b"
WEB = GuestFacts(
    "vm",
    101,
    "web-1",
    "pve",
    status="running",
    cores=2,
    memory_bytes=2048 * MIB,
    disk_bytes=8 * GIB,
    tags=("prod", "web"),
    config={
        "agent": "enabled=1,fstrim_cloned_disks=1",
        "args": f"-object secret,data={SECRET}",
        "balloon": 1024,
        "bios": "ovmf",
        "boot": "order=scsi0;net0",
        "cipassword": SECRET,
        "ciuser": "admin",
        "cores": 2,
        "cpu": "host,flags=+aes;-pcid",
        "cpulimit": "1.5",
        "description": f"password={SECRET}",
        "efidisk0": "local-lvm:vm-101-disk-1,efitype=4m,pre-enrolled-keys=1,size=4M",
        "ide0": "local-lvm:vm-101-cloudinit,media=cdrom,size=4M",
        "ide2": "local:iso/debian.iso,media=cdrom,size=600M",
        "ipconfig0": "ip=10.0.0.21/24,gw=10.0.0.1,ip6=dhcp",
        "machine": "q35",
        "memory": "2048",
        "nameserver": "10.0.0.53 10.0.0.54",
        "net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1,tag=7,rate=2.5,queues=4",
        "numa": 1,
        "onboot": 1,
        "ostype": "l26",
        "protection": 1,
        "scsi0": "local-lvm:vm-101-disk-0,size=8G,ssd=1,discard=on,iothread=1,mbps_rd=10",
        "scsihw": "virtio-scsi-single",
        "searchdomain": "example.com",
        "serial0": "socket",
        "sockets": 1,
        "sshkeys": f"ssh-rsa%20{SECRET}",
        "startup": "order=2,up=30,down=60",
        "tpmstate0": "local-lvm:vm-101-disk-2,size=4M,version=v2.0",
        "vga": "serial0,memory=32",
    },
)
DB = GuestFacts(
    "container",
    102,
    "db",
    "pve-2",
    memory_bytes=512 * MIB,
    ostype="debian",
    unprivileged=True,
    tags=("prod",),
    config={
        "arch": "amd64",
        "cores": 1,
        "features": "nesting=1,mount=nfs;cifs",
        "hostname": "db",
        "lxc": [["lxc.environment", f"TOKEN={SECRET}"]],
        "memory": 512,
        "mp0": "local-lvm:vm-102-disk-1,mp=/srv,size=4G,backup=1,mountoptions=noatime;discard",
        "mp1": "/mnt/shared,mp=/mnt,ro=1",
        "net0": "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:02,ip=dhcp,type=veth",
        "net1": "name=eth1,bridge=lan,hwaddr=BC:24:11:00:00:03,ip=10.0.0.22/24,mtu=1400",
        "onboot": 1,
        "ostype": "debian",
        "rootfs": "local-lvm:vm-102-disk-0,size=4G",
        "swap": 256,
        "tty": 2,
        "unprivileged": 1,
    },
)
GOLDEN = GuestFacts(
    "vm", 103, "golden", "pve", is_template=True, config={"scsi0": "nas:103/base-103.qcow2,size=1G"}
)
SEEN_ONLY = GuestFacts("vm", 104, "seen", "pve", status="running", disk_bytes=GIB)
CLUSTER = ClusterState.of(
    [NodeFacts("pve", "10.0.0.1"), NodeFacts("pve-2")],
    [WEB, DB, GOLDEN, SEEN_ONLY],
    [
        StorageFacts("local", "dir", ("iso", "vztmpl"), nodes=("pve", "pve-2")),
        StorageFacts("local-lvm", "lvmthin", ("images", "rootdir"), nodes=("pve", "pve-2")),
        StorageFacts("nas", "cifs", ("backup",), shared=True, nodes=("pve",)),
        StorageFacts("ceph", "rbd", ("images",), shared=True, nodes=("pve", "pve-2")),
    ],
)
