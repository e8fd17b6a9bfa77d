"""The checks of one run: chosen by its ini keys, put in place around its tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest

from pytest_proxmox.errors import UserMistake
from pytest_proxmox.hygiene import coroutines, settings
from pytest_proxmox.hygiene.coroutines import CoroutineWatch
from pytest_proxmox.hygiene.judge import Judge
from pytest_proxmox.hygiene.policy import Policy
from pytest_proxmox.hygiene.resources import ProcessWatch, SocketWatch, ThreadWatch
from pytest_proxmox.hygiene.surroundings import CwdWatch, EnvironWatch
from pytest_proxmox.hygiene.tasks import TaskWatch
from pytest_proxmox.hygiene.watch import Makers, Watch
from pytest_proxmox.invocation import Invocation


@contextmanager
def watching(config: pytest.Config) -> Iterator[None]:
    """Judge every test that runs inside.

    Raises:
        pytest.UsageError: an ini key of the checks has a value that cannot be used.
    """
    with ExitStack() as stack:
        try:
            judge = _put_in_place(config, stack)
        except UserMistake as exc:
            raise pytest.UsageError(str(exc)) from exc
        if judge.looks:
            config.pluginmanager.register(judge, "proxmox-hygiene")
            stack.callback(judge.leave)
        yield


def _put_in_place(config: pytest.Config, stack: ExitStack) -> Judge:
    rules = settings.policy(config)
    makers = Makers()
    watches = _watches(config, rules, makers)
    notes = Invocation.of(config).notes
    judge = Judge(rules, makers, watches, config=config, note=notes.append)
    for watch in watches:
        watch.install()
        stack.callback(watch.uninstall)
    if rules.watches("coroutine") and coroutines.works_here():
        watched = judge.coroutines = CoroutineWatch(judge.allows, judge.sit)
        watched.install()
        stack.callback(watched.uninstall)
    return judge


def _watches(config: pytest.Config, rules: Policy, makers: Makers) -> list[Watch]:
    """The watches that the run wants. What they see goes down the list: tasks close loops."""
    sockets = SocketWatch(makers)
    every: dict[str, Watch] = {
        "task": TaskWatch(sockets if rules.watches("socket") else None),
        "thread": ThreadWatch(makers),
        "process": ProcessWatch(makers),
        "socket": sockets,
        "environ": EnvironWatch(),
        "cwd": CwdWatch(),
    }
    wanted = [watch for kind, watch in every.items() if rules.watches(kind)]
    names = config.getini(settings.SINGLETONS)
    return [*wanted, _singletons(names)] if names else wanted


def _singletons(names: Sequence[str]) -> Watch:
    from pytest_proxmox.hygiene.singletons import Name, SingletonWatch

    return SingletonWatch([Name.parse(text, "ini key reset_singletons") for text in names])
