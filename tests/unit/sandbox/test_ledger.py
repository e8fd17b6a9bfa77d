"""The ledger: states, claims, and what other processes see of them."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pytest_proxmox.clock import ManualClock
from pytest_proxmox.errors import LeaseError, LedgerUnusable, RangeExhausted
from pytest_proxmox.sandbox.lease import BEFORE, Leftover, State
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.run import Run
from pytest_proxmox.values import LeaseId, NodeName, Upid, Vmid, VmidRange

TARGET = "https://pve.invalid:8006"
SPAN = VmidRange(Vmid(9000), Vmid(9009))
UPID = "UPID:pve:000029F2:0008157D:6B01FF9A:vzcreate:9001:pt@pve!ci:"


@pytest.fixture
def run() -> Run:
    """This process, as the only one of its run."""
    return Run.here("run-1")


@pytest.fixture
def ledger(tmp_path: Path, run: Run) -> Iterator[Ledger]:
    """A ledger that knows the run."""
    with Ledger(tmp_path, clock=ManualClock(), durable=False) as ledger:
        ledger.register(run, target=TARGET, kind="real")
        yield ledger


def test_a_claim_takes_the_lowest_free_vmid(ledger: Ledger, run: Run) -> None:
    first, second = (ledger.claim(TARGET, [SPAN], run)[0] for _ in range(2))

    assert (first.vmid, second.vmid) == (9000, 9001)
    assert first.state is State.RESERVED
    assert ledger.leases(TARGET) == [first, second]


def test_a_released_vmid_is_handed_out_last(ledger: Ledger, run: Run) -> None:
    (lease,) = ledger.claim(TARGET, [SPAN], run)
    ledger.advance(lease, State.RELEASED)

    claimed = [ledger.claim(TARGET, [SPAN], run)[0].vmid for _ in range(10)]

    assert claimed == [*range(9001, 9010), 9000]


def test_an_exhausted_range_is_an_error_that_names_it(ledger: Ledger, run: Run) -> None:
    for _ in SPAN:
        ledger.claim(TARGET, [SPAN], run)

    with pytest.raises(RangeExhausted, match="no free VMID in 9000-9009"):
        ledger.claim(TARGET, [SPAN], run)


def test_a_dirty_vmid_is_not_handed_out(ledger: Ledger, run: Run) -> None:
    (lease,) = ledger.claim(TARGET, [SPAN], run)
    left = Leftover("lxc/9000 on pve", "locked", "pct unlock 9000")
    dirty = ledger.advance(ledger.advance(lease, State.DESTROYING), State.DIRTY, leftovers=(left,))

    claimed = {ledger.claim(TARGET, [SPAN], run)[0].vmid for _ in range(9)}

    assert 9000 not in claimed
    assert dirty.leftovers == (left,)
    with pytest.raises(RangeExhausted):
        ledger.claim(TARGET, [SPAN], run)


def test_a_foreign_vmid_is_not_handed_out_in_the_same_run(ledger: Ledger, run: Run) -> None:
    ledger.mark_foreign(TARGET, run, [9000, 9001])

    assert ledger.claim(TARGET, [SPAN], run)[0].vmid == 9002
    assert ledger.foreigners(TARGET, run) == [9000, 9001]


def test_the_same_vmid_is_free_on_another_target(ledger: Ledger, run: Run) -> None:
    ledger.claim(TARGET, [SPAN], run)
    ledger.register(run, target="https://other.invalid:8006", kind="simulator")

    assert ledger.claim("https://other.invalid:8006", [SPAN], run)[0].vmid == 9000


def test_several_vmids_are_claimed_in_a_row(ledger: Ledger, run: Run) -> None:
    ledger.mark_foreign(TARGET, run, [9002])

    leases = ledger.claim(TARGET, [SPAN], run, count=3, maker="test")

    assert [lease.vmid for lease in leases] == [9003, 9004, 9005]
    assert {lease.maker for lease in leases} == {"test"}


def test_a_row_of_vmids_does_not_cross_from_one_span_to_the_next(ledger: Ledger, run: Run) -> None:
    spans = [VmidRange(Vmid(9008), Vmid(9009)), VmidRange(Vmid(9010), Vmid(9019))]

    leases = ledger.claim(TARGET, spans, run, count=3)

    assert [lease.vmid for lease in leases] == [9010, 9011, 9012]


def test_an_exact_claim_of_a_held_vmid_gives_nothing(ledger: Ledger, run: Run) -> None:
    held = ledger.claim_exactly(TARGET, Vmid(9005), run, maker="test")

    assert held is not None
    assert ledger.claim_exactly(TARGET, Vmid(9005), run) is None


@pytest.mark.parametrize("before", list(State), ids=str)
@pytest.mark.parametrize("after", list(State), ids=str)
def test_only_the_listed_steps_are_taken(
    ledger: Ledger, run: Run, before: State, after: State
) -> None:
    (lease,) = ledger.claim(TARGET, [SPAN], run)
    for step in _way_to(before):
        lease = ledger.advance(lease, step)

    if before in BEFORE[after]:
        assert ledger.advance(lease, after).state is after
    else:
        with pytest.raises(LeaseError, match=f"{before} cannot become {after}"):
            ledger.advance(lease, after)
        assert ledger.get(lease.id).state is before


def _way_to(state: State) -> list[State]:
    ways = {
        State.RESERVED: [],
        State.CREATING: [State.CREATING],
        State.LIVE: [State.LIVE],
        State.DESTROYING: [State.DESTROYING],
        State.RELEASED: [State.RELEASED],
        State.DIRTY: [State.DESTROYING, State.DIRTY],
    }
    return ways[state]


def test_what_becomes_known_of_a_lease_is_read_back(ledger: Ledger, run: Run) -> None:
    (lease,) = ledger.claim(TARGET, [SPAN], run)
    ledger.advance(lease, State.CREATING, kind="lxc", node=NodeName("pve"), source=Vmid(9001))

    noted = ledger.note(lease, upid=Upid.parse(UPID))

    assert (noted.kind, noted.node, noted.source) == ("lxc", "pve", 9001)
    assert noted.upid == Upid.parse(UPID)
    assert noted.state is State.CREATING


def test_the_first_baseline_of_a_run_stays(ledger: Ledger, run: Run) -> None:
    assert ledger.baseline(run.id, TARGET) is None

    assert ledger.set_baseline(run.id, TARGET, "first") == "first"
    assert ledger.set_baseline(run.id, TARGET, "second") == "first"


def test_a_forgotten_target_holds_nothing(ledger: Ledger, run: Run) -> None:
    ledger.claim(TARGET, [SPAN], run)
    assert ledger.targets(kind="real") == [TARGET]

    ledger.forget(TARGET)

    assert ledger.targets(kind="real") == []
    assert ledger.leases(TARGET) == []


def test_a_second_ledger_object_sees_the_first_ones_rows(
    ledger: Ledger, run: Run, tmp_path: Path
) -> None:
    (lease,) = ledger.claim(TARGET, [SPAN], run)

    with Ledger(tmp_path, durable=False) as other:
        assert other.leases(TARGET, run=run.id) == [lease]
        assert other.is_alive(run.id, TARGET)


def test_the_file_itself_refuses_a_second_holder(ledger: Ledger, run: Run) -> None:
    ledger.claim(TARGET, [SPAN], run)

    with closing(sqlite3.connect(ledger.path)) as db, pytest.raises(sqlite3.IntegrityError):
        db.execute(
            "INSERT INTO leases (id, target, vmid, run, worker, state, maker, claimed, changed)"
            " VALUES ('x', ?, 9000, 'r', 'w', 'live', 'sandbox', 0, 0)",
            (TARGET,),
        )


def test_a_file_that_is_no_ledger_is_named(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_text("something else, long enough to have a header" * 9)

    with pytest.raises(LedgerUnusable, match=r"ledger\.sqlite cannot be used"):
        Ledger(tmp_path)


def test_a_ledger_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as db:
        db.execute("PRAGMA user_version=99")

    with pytest.raises(LedgerUnusable, match="newer pytest-proxmox"):
        Ledger(tmp_path)


def test_a_ledger_of_an_unreleased_format_is_made_anew(tmp_path: Path, run: Run) -> None:
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as db:
        db.execute("CREATE TABLE leases (id TEXT)")
        db.execute("PRAGMA user_version=1")

    with Ledger(tmp_path, durable=False) as ledger:
        ledger.register(run, target=TARGET, kind="real")
        assert ledger.claim(TARGET, [SPAN], run)[0].vmid == 9000


CLAIMER = """
    import sys
    from pathlib import Path
    from pytest_proxmox.sandbox.ledger import Ledger
    from pytest_proxmox.sandbox.run import Run
    from pytest_proxmox.values import VmidRange
    folder, worker, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    run = Run.here("shared", worker=worker)
    span = VmidRange.parse("9000-9199")
    sys.stdin.readline()
    with Ledger(folder) as ledger:
        ledger.register(run, target="https://pve.invalid:8006", kind="real")
        for _ in range(count):
            print(int(ledger.claim("https://pve.invalid:8006", [span], run)[0].vmid), flush=True)
"""


def _process(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_four_processes_never_claim_the_same_vmid(tmp_path: Path) -> None:
    processes = [_process(CLAIMER, str(tmp_path), f"gw{n}", "50") for n in range(4)]
    for process in processes:  # all wait for this line: they open the new file together
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()

    claimed = [int(line) for process in processes for line in process.communicate()[0].split()]

    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    assert sorted(claimed) == list(range(9000, 9200))


WALKER = """
    import sys
    from pathlib import Path
    from pytest_proxmox.sandbox.lease import State
    from pytest_proxmox.sandbox.ledger import Ledger
    from pytest_proxmox.sandbox.run import Run
    from pytest_proxmox.values import VmidRange
    run = Run.here("walker")
    ledger = Ledger(Path(sys.argv[1]))
    ledger.register(run, target="https://pve.invalid:8006", kind="real")
    while True:
        (lease,) = ledger.claim("https://pve.invalid:8006", [VmidRange.parse("9000-9099")], run)
        for state in ("creating", "live", "destroying", "released"):
            lease = ledger.advance(lease, State(state))
            print(lease.id, lease.state, flush=True)
"""


@pytest.mark.parametrize("steps", [1, 2, 7, 40], ids="killed after {} steps".format)
def test_a_killed_process_leaves_a_readable_ledger(tmp_path: Path, steps: int) -> None:
    process = _process(WALKER, str(tmp_path))
    assert process.stdout is not None
    announced = dict(process.stdout.readline().split() for _ in range(steps))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()

    with Ledger(tmp_path) as ledger:
        found = {lease.id: lease.state for lease in ledger.leases(TARGET, states=tuple(State))}
        assert not ledger.is_alive("walker", TARGET)

    order = list(State)
    for lease_id, state in announced.items():  # nothing that was said to be written is lost
        assert order.index(found[LeaseId(lease_id)]) >= order.index(State(state))
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_leftovers_are_kept_as_they_were_written(ledger: Ledger, run: Run) -> None:
    (lease,) = ledger.claim(TARGET, [SPAN], run)
    left = Leftover("volume local:9000/vm-9000-disk-0.raw", 'it\'s "busy"', "")
    ledger.advance(lease, State.DESTROYING, leftovers=(left,))

    assert ledger.get(lease.id).leftovers == (left,)
    with closing(sqlite3.connect(ledger.path)) as db:
        (text,) = db.execute("SELECT leftovers FROM leases").fetchone()
    assert json.loads(text)[0]["reason"] == 'it\'s "busy"'
