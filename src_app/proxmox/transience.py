"""Which failures of Proxmox pass by themselves, so that asking again makes sense."""

from __future__ import annotations

import re

from src_app.proxmox.errors import (
    CertificateRefused,
    InvalidRequest,
    NoNodeOnline,
    OutcomeUnknown,
    PermissionDenied,
    RequestFailed,
    TaskFailed,
    TaskWarned,
    Unreachable,
)

# Texts of a real node and of its cluster: locks that somebody else holds for a moment, a
# cluster that is short of nodes, a worker that could not be started.
_PASSING = re.compile(
    r"can't lock file|got timeout|got lock request timeout|no quorum|not online"
    r"|got no worker upid|detected modified configuration"
    r"|\b(?:CT|VM) is locked \((?:backup|snapshot|snapshot-delete|disk|mounted|migrate|fstrim)\)"
    r"|Too many redirections|Broken pipe|Connection timed out|Connection refused|No route to host"
)


def is_transient(error: BaseException) -> bool:
    """Tell whether the same request may succeed a little later.

    Also for a request whose answer was lost, since every step looks first what is there.
    """
    if isinstance(error, CertificateRefused | InvalidRequest | PermissionDenied | TaskWarned):
        return False
    if isinstance(error, Unreachable | OutcomeUnknown | NoNodeOnline):
        return True
    if isinstance(error, RequestFailed):
        return error.status >= 595 or bool(_PASSING.search(error.reason))
    return isinstance(error, TaskFailed) and bool(_PASSING.search(error.exitstatus))
