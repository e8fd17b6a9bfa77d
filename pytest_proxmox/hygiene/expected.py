"""Whether a test catches Python's "never awaited" warning itself, and so expects it."""

from __future__ import annotations

import gc
import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest

Recorder = Callable[..., Any] | None


def recorder() -> Recorder:
    """Return what records warnings now: pytest's own recorder while a test begins."""
    impl = getattr(warnings, "_showwarnmsg_impl", None)
    return impl if callable(impl) else None


def by_test(coroutine: str, outer: Recorder) -> bool:
    """Return whether something inside the test records the warning about this coroutine.

    ``warnings.catch_warnings(record=True)`` does; ``pytest.warns`` does if the warning is of
    a category that it waits for: otherwise it would only issue the warning again.
    """
    inner = recorder()
    if inner is None or inner == outer:
        return False
    checker = _checker(getattr(inner, "__self__", None))
    text = f"coroutine '{coroutine}' was never awaited"
    return checker is None or _matches(checker, text)


def _checker(log: object) -> Any:
    """The ``pytest.warns`` whose list this is; None when it is somebody else's."""
    for holder in gc.get_referrers(log):
        if _is_checker(holder):
            return holder
        if isinstance(holder, dict):
            for owner in gc.get_referrers(holder):
                if _is_checker(owner):
                    return owner
    return None


def _is_checker(found: object) -> bool:
    return isinstance(found, pytest.WarningsRecorder) and hasattr(found, "expected_warning")


def _matches(checker: Any, text: str) -> bool:
    kinds = checker.expected_warning or (Warning,)
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    if not any(issubclass(RuntimeWarning, kind) for kind in kinds):
        return False
    pattern = getattr(checker, "match_expr", None)
    return pattern is None or re.search(pattern, text) is not None
