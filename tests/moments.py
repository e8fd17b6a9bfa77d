"""Which moments of an operation a sweep tries: a few in every run, all of them in a campaign.

``KILL_MOMENTS=all`` tries every moment, a number so many; see ``benchmarks/console_campaign.py``.
"""

from __future__ import annotations

import os

MOMENTS = "KILL_MOMENTS"


def chosen(total: int, *, few: int, first: int = 0) -> range:
    """Return the moments to try of ``total``, spread over all from ``first`` on."""
    wanted = os.environ.get(MOMENTS, str(few))
    if wanted == "all":
        return range(total)
    step = max(1, total // int(wanted))
    return range(first % step, total, step)
