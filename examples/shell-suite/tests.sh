#!/bin/sh
# The tests of backup.sh: each begins with the same Proxmox, whatever the one before did to it.
set -eu
cd "$(dirname "$0")"
folder=$(mktemp -d)
pytest-proxmox serve --port 0 --world world.json --ready-file "$folder/ready.json" \
    >"$folder/log" 2>&1 &
server=$!
trap 'kill $server; wait $server || true; rm -r "$folder"' EXIT
while [ ! -s "$folder/ready.json" ]; do
    kill -0 $server || { cat "$folder/log"; exit 1; }
    sleep 0.1
done
ready() { sed -n "s/^ *\"$1\": \"\(.*\)\",\{0,1\}\$/\1/p" "$folder/ready.json"; }

PROXMOX_URL=$(ready url)
PROXMOX_TOKEN=$(ready token_id)=$(ready token_secret)
PROXMOX_CA_FILE=$(ready ca_file)
PROXMOX_NODE=$(ready node)
PROXMOX_STORAGE=$(ready backup_storage)
POLL_S=0.1
export PROXMOX_URL PROXMOX_TOKEN PROXMOX_CA_FILE PROXMOX_NODE PROXMOX_STORAGE POLL_S

control() { # control METHOD PATH [BODY]: the answer of the control plane
    curl -sS --fail-with-body --cacert "$PROXMOX_CA_FILE" -X "$1" ${3:+-d "$3"} \
        -H "Authorization: Bearer $(ready control_token)" "$(ready control_url)$2"
}

fault() { control POST /faults "$1" >"$folder/fault"; }

said() { grep -q -- "$1" "$folder/said" || { cat "$folder/said"; return 1; }; }
backup() { ./backup.sh "$@" >"$folder/said" 2>&1; }
refused() { # a status of 1, which is not the test's
    if backup "$@"; then
        echo "it should have failed"
        return 1
    fi
}

test_a_container_is_backed_up() {
    backup 101
    said '^local:backup/vzdump-lxc-101-.*\.tar'
}

test_a_container_that_is_not_there_is_told() {
    refused 999
    said 'container 999'
}

test_a_full_storage_is_told() {
    fault '{"effect": "task-error", "task": "vzdump", "text": "no space left on device"}'
    refused 101
    said 'container 101: no space left on device'
}

test_a_slow_backup_is_waited_for() {
    fault '{"effect": "slow-task", "task": "vzdump", "seconds": 60}'
    backup 101
    said '^local:backup/'
}

test_one_backup_asks_once() {
    control POST /reset
    backup 101
    [ "$(control GET /calls | grep -o '"method": *"POST", *"path": *"[^"]*/vzdump"' | wc -l)" -eq 1 ]
}

tests=$(sed -n 's/^\(test_[a-z_]*\)() {$/\1/p' tests.sh)
before=$(control POST /snapshot)
failed=0
for test in $tests; do
    set +e # not `if (...)`: a shell does not stop at errors inside of a condition
    (set -e; $test) >"$folder/out" 2>&1
    status=$?
    set -e
    if [ $status -eq 0 ]; then
        echo "ok      $test"
    else
        echo "FAILED  $test"
        sed 's/^/        /' "$folder/out"
        failed=$((failed + 1))
    fi
    control DELETE /faults >"$folder/out"
    control POST /restore "$before" >"$folder/out"
done
echo "$(echo "$tests" | wc -l) tests, $failed failed"
[ $failed -eq 0 ]
