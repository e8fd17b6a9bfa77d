#!/bin/sh
# Backs a container up and prints the archive: backup.sh VMID
# Takes its Proxmox from PROXMOX_URL, PROXMOX_TOKEN (user@realm!name=secret), PROXMOX_CA_FILE,
# PROXMOX_NODE and PROXMOX_STORAGE. Ends with 1, and says why, where there is no archive.
set -eu
vmid=$1
node=$PROXMOX_URL/api2/json/nodes/$PROXMOX_NODE

ask() { # ask METHOD URL [FIELD=VALUE...]: the answer's body; an error's body and 1
    method=$1 url=$2
    shift 2
    for field in "$@"; do set -- "$@" --data-urlencode "$field"; shift; done
    curl -sS --fail-with-body --cacert "$PROXMOX_CA_FILE" \
        -H "Authorization: PVEAPIToken=$PROXMOX_TOKEN" -X "$method" "$url" "$@"
}

field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }

die() {
    echo "backup.sh: $*" >&2
    exit 1
}

started=$(ask POST "$node/vzdump" "vmid=$vmid" "storage=$PROXMOX_STORAGE" mode=stop) ||
    die "container $vmid: $started"
upid=$(echo "$started" | field data)
while :; do
    task=$(ask GET "$node/tasks/$upid/status") || die "task $upid: $task"
    [ "$(echo "$task" | field status)" = running ] || break
    sleep "${POLL_S:-1}"
done
outcome=$(echo "$task" | field exitstatus)
[ "$outcome" = OK ] || die "container $vmid: $outcome"
ask GET "$node/storage/$PROXMOX_STORAGE/content?content=backup&vmid=$vmid" |
    tr '{' '\n' | field volid | sort | tail -n 1
