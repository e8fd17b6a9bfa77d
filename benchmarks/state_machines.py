"""The state machines of ledger, lease and sweep with a large budget: minutes, not a ratio."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from benchmarks.harness import Row
from tests.contract.sandbox.test_lease_machine import LeaseMachine, TestLeaseMachine
from tests.unit.sandbox.test_ledger_machine import LedgerMachine, TestLedgerMachine

EXAMPLES = 400
STEPS = 60


def main() -> Sequence[Row]:
    """Return no row: a machine that finds something raises, with the steps that lead there."""
    for machine, case in ((LedgerMachine, TestLedgerMachine), (LeaseMachine, TestLeaseMachine)):
        budget = settings(case.settings, max_examples=EXAMPLES, stateful_step_count=STEPS)
        run_state_machine_as_test(machine, settings=budget)
        print(f"{machine.__name__}: {EXAMPLES} examples of up to {STEPS} steps, nothing found")
    return ()
