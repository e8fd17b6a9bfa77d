#!/bin/sh
# A suite in shell: start the embedded Proxmox, ask it, break it, put it back.
set -eu
folder=$(mktemp -d)
pytest-proxmox serve --port 0 --ready-file "$folder/ready.json" >"$folder/log" 2>&1 &
server=$!
trap 'kill $server; wait $server || true; rm -r "$folder"' EXIT
while [ ! -s "$folder/ready.json" ]; do
    kill -0 $server || { cat "$folder/log"; exit 1; }
    sleep 0.1
done
ready() { sed -n "s/^ *\"$1\": \"\(.*\)\",\{0,1\}\$/\1/p" "$folder/ready.json"; }

api() {
    method=$1 path=$2; shift 2
    curl -sS -X "$method" --cacert "$(ready ca_file)" \
        -H "Authorization: PVEAPIToken=$(ready token_id)=$(ready token_secret)" \
        "$(ready url)/api2/json$path" "$@"
}

control() {
    method=$1 path=$2; shift 2
    curl -sS -X "$method" --cacert "$(ready ca_file)" \
        -H "Authorization: Bearer $(ready control_token)" "$(ready control_url)$path" "$@"
}

node=/nodes/$(ready node)
before=$(control POST /snapshot | sed 's/.*"id": *"\([^"]*\)".*/\1/')

# A test: what is made is there.
api POST "$node/lxc" -d vmid=100 -d "ostemplate=$(ready template)" -d "storage=$(ready storage)"
api GET "$node/lxc" | grep -q '"vmid":100'

# A test: a fault is met.
control POST /faults -d '{"effect": "error", "path": "/version", "error": "no-quorum"}'
api GET /version -o /dev/null -w '%{http_code}\n' | grep -qx 500
control DELETE /faults

# As it was before.
control POST /restore -d "{\"id\": \"$before\"}"
if api GET "$node/lxc" | grep -q '"vmid":100'; then echo "container 100 is left"; exit 1; fi
echo
echo "3 tests passed"
