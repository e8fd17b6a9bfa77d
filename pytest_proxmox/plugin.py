"""The composition root: pytest hooks of a few lines, fixture rooms by name."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from pytest_proxmox import marks, room_options
from pytest_proxmox import options as tables
from pytest_proxmox.hygiene import settings as hygiene
from pytest_proxmox.invocation import Invocation, ProxmoxWarning

_ENVIRONMENT = pytest.StashKey[tuple[Mapping[str, str], Mapping[str, str]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add every row of the table as a flag and an ini key."""
    group = parser.getgroup("proxmox", "Proxmox VE")
    for option in tables.OPTIONS:
        group.addoption(
            option.flag, dest=_dest(option), metavar=option.metavar, help=option.help, default=None
        )
        parser.addini(option.ini, option.help, default=None)
    parser.addini(
        tables.AUTO_ASYNCIO,
        "give async tests marked integration or real_proxmox the asyncio mark (default: true)",
        type="bool",
        default=True,
    )
    hygiene.add_options(parser)
    room_options.add_options(parser)
    from pytest_proxmox.flaky import settings as flaky

    flaky.add_options(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Read ``.env.test`` before any conftest looks at the environment."""
    _environment(early_config)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Resolve the settings: a value that cannot be used ends the run here, with exit code 4."""
    marks.register(config)
    config.addinivalue_line("markers", room_options.DB_MARK)
    hygiene.set_loop_scope(config)
    with _mistakes_as(pytest.UsageError):
        Invocation.begin(config, _sources(config))
    _begin_flaky(config)
    if _has_env_file(config) and not _is_worker(config):
        _warn_if_tracked(config)
    if Invocation.of(config).may_leave_guests or config.option.showfixtures:
        _open_rooms(config)  # also where nothing is collected: guests are removed at the end


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Open the rooms of fixtures with the first file that may hold a test."""
    if not isinstance(collector, (pytest.Session, pytest.Directory)):
        _open_rooms(collector.config)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Show each setting with its source; with ``-v`` also what nobody set."""
    lines = Invocation.of(config).describe(defaults=config.get_verbosity() > 0)
    from pytest_proxmox.flaky import settings as flaky

    told = flaky.describe(config) if flaky.is_wanted(config) else []
    return [*(f"proxmox: {line}" for line in lines), *hygiene.describe(config), *told]


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class,
) -> Generator[None, Any, Any]:
    """Mark async tests for asyncio before pytest-asyncio looks; refuse marks that mean nothing."""
    made = yield
    if made is None:
        return None
    for item in made if isinstance(made, list) else (made,):
        if isinstance(item, pytest.Function) and marks.matter(item, collector):
            _check_marks(item, collector)
            if _marks_asyncio(collector.config):
                from pytest_proxmox.auto_asyncio import make_asyncio

                make_asyncio(item)
    return made


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what needs a real Proxmox where nobody named one."""
    if not Invocation.of(config).has_real_proxmox:
        marks.skip_real(items)
    if marks.QUARANTINED in config.stash:
        from pytest_proxmox.flaky.session import heed_marks

        heed_marks(config, items)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Refuse modules whose mocks have drifted; with lint on, tests that cannot fail too."""
    report = yield
    if isinstance(collector, pytest.Module) and report.passed:
        from pytest_proxmox.hygiene.collection import judge

        Invocation.of(collector.config).note_once(judge(collector, report))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Judge what each test leaves behind, where there are tests to run in this process."""
    if not getattr(session, "items", None) or session.config.option.collectonly:
        return (yield)
    from pytest_proxmox.hygiene.session import watching

    with watching(session.config):
        return (yield)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Let an xdist worker know whose part it is."""
    Invocation.of(node.config).share(node.workerinput)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what an xdist worker found."""
    Invocation.of(node.config).take_over(getattr(node, "workeroutput", {}))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let the exit status tell of mistakes and of guests that are left."""
    told = Invocation.of(session.config)
    told.hand_over(session.config)
    session.exitstatus = told.exit_status(int(session.exitstatus))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Name what stopped the run, and each guest that is left with the command that frees it."""
    told = Invocation.of(config)
    for title, lines in (("left on Proxmox", told.leftovers), ("Proxmox", told.notes)):
        if lines:
            terminalreporter.section(title, red=lines is told.leftovers)
            terminalreporter.write("".join(f"{line}\n" for line in lines))
    if told.mistake is not None:
        terminalreporter.write_line(f"ERROR: {told.mistake}", red=True)


def _open_rooms(config: pytest.Config) -> None:
    from pytest_proxmox import rooms

    rooms.open_once(config, sys.modules[__name__])


def _begin_flaky(config: pytest.Config) -> None:
    """Put reruns and history in place, where the run has them."""
    from pytest_proxmox.flaky import settings as flaky

    if flaky.is_wanted(config):
        from pytest_proxmox.flaky.session import begin

        begin(config)


def _dest(option: tables.Option) -> str:
    return f"proxmox_option_{option.name}"


@contextmanager
def _mistakes_as(kind: type[Exception]) -> Iterator[None]:
    """Raise a user's mistake as the error that pytest shows in one line."""
    try:
        yield
    except Exception as exc:
        from pytest_proxmox.errors import UserMistake  # a run without one does not load it

        if not isinstance(exc, UserMistake):
            raise
        raise kind(str(exc)) from None


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _check_marks(item: pytest.Function, collector: pytest.Collector) -> None:
    with _mistakes_as(collector.CollectError):  # a usage error would kill an xdist worker
        marks.vmid_count(item)
        if (mark := item.get_closest_marker("quarantine")) is not None:
            from pytest_proxmox.flaky.quarantine import of_mark

            of_mark(item.nodeid, mark.args, mark.kwargs)
            item.config.stash[marks.QUARANTINED] = True
        if item.get_closest_marker("proxmox_faults") is not None:
            from pytest_proxmox.fault_orders import check

            check(item)


def _marks_asyncio(config: pytest.Config) -> bool:
    return bool(config.getini(tables.AUTO_ASYNCIO)) and config.pluginmanager.hasplugin("asyncio")


def _environment(config: pytest.Config) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The real environment and the file's variables, the latter applied until the run ends."""
    if _ENVIRONMENT not in config.stash:
        environ = dict(os.environ)
        config.stash[_ENVIRONMENT] = environ, _env_file(config) if _has_env_file(config) else {}
    return config.stash[_ENVIRONMENT]


def _has_env_file(config: pytest.Config) -> bool:
    return os.path.lexists(config.rootpath / tables.ENV_FILE)


def _env_file(config: pytest.Config) -> Mapping[str, str]:
    from pytest_proxmox import envfile

    with _mistakes_as(pytest.UsageError):
        values = envfile.read(config.rootpath)
    with ExitStack() as stack:
        stack.enter_context(envfile.applied(values, os.environ))
        config.add_cleanup(stack.pop_all().close)
    return values


def _warn_if_tracked(config: pytest.Config) -> None:
    from pytest_proxmox import envfile

    if envfile.is_tracked(config.rootpath):
        _warn(
            config,
            f"git tracks {tables.ENV_FILE}, which may hold passwords "
            f"({config.rootpath / tables.ENV_FILE}). Run: git rm --cached {tables.ENV_FILE}",
        )


def _sources(config: pytest.Config) -> tables.Sources:
    environ, file_values = _environment(config)
    cli = {option.name: config.getoption(_dest(option)) for option in tables.OPTIONS}
    ini = {option.name: _ini(config, option) for option in tables.OPTIONS}
    overrides = config.getoption("override_ini") or []
    return tables.Sources(
        cli={name: text for name, text in cli.items() if text is not None},
        environ=environ,
        env_file=file_values,
        ini={name: text for name, text in ini.items() if text is not None},
        ini_name=config.inipath.name if config.inipath else "ini file",
        overridden=frozenset(pair.partition("=")[0] for pair in overrides),
    )


def _ini(config: pytest.Config, option: tables.Option) -> str | None:
    """The ini key's text; a path in it is relative to the file that it stands in."""
    try:
        text: str | None = config.getini(option.ini)
    except (TypeError, ValueError) as exc:  # a TOML value that is no string
        raise pytest.UsageError(f"{exc}. Write it as a string.") from exc
    if text and option.takes_path and config.inipath is not None:
        path = config.inipath.parent / text
        return str(path) if path.is_file() else text
    return text


def _warn(config: pytest.Config, message: str) -> None:
    try:
        config.issue_config_time_warning(ProxmoxWarning(message), stacklevel=2)
    except ProxmoxWarning as exc:  # the user's filters make it an error: without a traceback
        raise pytest.UsageError(str(exc)) from exc
