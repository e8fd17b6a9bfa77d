"""Two machines claim VMIDs of one Proxmox: ``python -m benchmarks.claim_campaign --claims 10000``.

No VMID may be held twice at a time, with clocks two minutes apart, and one of the two stopped in
the middle for longer than its lease.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.campaign.claims import campaign


def main_with(arguments: list[str]) -> int:
    """Run it; 1 where a VMID was held twice, or the stopped run could do harm."""
    parser = argparse.ArgumentParser(prog="claim_campaign", description=__doc__)
    parser.add_argument("--claims", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(arguments)
    found = campaign(args.claims, args.seed)
    print(
        f"seed {args.seed}: {found.claims} claims, {found.taken_over} of them of VMIDs that the "
        f"stopped run had held, {found.lost} of its processes told that the lease is lost, "
        f"{found.refused} creates without a lease refused, {len(found.doubles)} wrong"
    )
    for double in found.doubles:
        print(f"    {double}")
    return 1 if found.doubles or not found.lost else 0


if __name__ == "__main__":
    sys.exit(main_with(sys.argv[1:]))
