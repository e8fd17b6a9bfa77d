"""Coroutines seen while a collection begins inside their finaliser."""

import subprocess
import sys

PROGRAM = """
import gc, warnings
from pytest_proxmox.hygiene.coroutines import OUTSIDE, CoroutineWatch

async def forgotten():
    pass

dropped = []
def collecting(coroutine):
    dropped.append(coroutine.__qualname__)
    gc.collect()

gc.disable()
warnings._warn_unawaited_coroutine = collecting
watch = CoroutineWatch(lambda dropped: False, lambda: None)
watch.install()
reused = 0
for number in range(100):
    watch.begin(OUTSIDE)
    gone = id(forgotten())  # none of ours: goes on to the hook of before, which collects
    younger = forgotten()
    reused += id(younger) == gone
    assert all(birth.ref() is not younger for birth in watch._births.values()), number
    younger.close()
watch.uninstall()
assert dropped == ["forgotten"] * 100, dropped
assert reused, "no memory was used again: this shows nothing"
"""


def test_a_collection_inside_a_finaliser_leaves_no_reference_to_freed_memory() -> None:
    """Alone in a process: where it fails, Python may not survive it."""
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
