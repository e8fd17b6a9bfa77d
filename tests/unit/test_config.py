"""Settings: the strongest source wins, each value knows its source, secrets are never shown."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pytest_proxmox import config
from pytest_proxmox.config import describe, resolve, state_folder
from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.options import OPTIONS, SECRETS, Option, Rank, Sources

HOST = {"PROXMOX_HOST": "pve.lan"}


def test_nothing_given_means_the_simulator_and_the_contracts_defaults() -> None:
    settings = resolve(Sources())
    assert (settings.kind, settings.world, settings.clock) == ("simulator", "single", "on-poll")
    assert (settings.transport, settings.port, settings.pool) == ("https", 8006, "pytest")
    assert (str(settings.vmid_range), settings.verify_ssl) == ("9000-9999", True)
    assert settings.host is settings.node is settings.storage is settings.template is None


LADDER = {
    Rank.INI: {"ini": {"clock": "manual"}},
    Rank.ENV_FILE: {"env_file": {"PROXMOX_CLOCK": "real"}},
    Rank.ENVIRONMENT: {"environ": {"PROXMOX_CLOCK": "instant"}},
    Rank.CLI: {"cli": {"clock": "on-poll"}},
}


@pytest.mark.parametrize("top", list(LADDER), ids=lambda rank: rank.name.lower())
def test_strongest_source_wins_and_is_remembered(top: Rank) -> None:
    given = {key: value for rank in LADDER if rank <= top for key, value in LADDER[rank].items()}
    settings = resolve(Sources(ini_name="tox.ini", **given))  # type: ignore[arg-type]
    assert settings.origin("clock").rank is top
    assert settings.clock == next(iter(next(iter(LADDER[top].values())).values()))


@pytest.mark.parametrize(
    ("sources", "origin"),
    [
        (Sources(cli={"vmid_range": "9-8"}), "(option --vmid-range)"),
        (
            Sources(environ={"PROXMOX_VMID_RANGE": "9-8"}),
            "(environment variable PROXMOX_VMID_RANGE)",
        ),
        (Sources(env_file={"PROXMOX_VMID_RANGE": "9-8"}), "(PROXMOX_VMID_RANGE in .env.test)"),
        (
            Sources(ini={"vmid_range": "9-8"}, ini_name="tox.ini"),
            "(ini key proxmox_vmid_range, tox.ini)",
        ),
        (
            Sources(ini={"vmid_range": "9-8"}, overridden=frozenset({"proxmox_vmid_range"})),
            "(ini key proxmox_vmid_range, -o)",
        ),
    ],
    ids=["cli", "environment", "env file", "ini", "ini override"],
)
def test_message_names_the_source_of_a_bad_value(sources: Sources, origin: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        resolve(sources)
    assert origin in str(caught.value)


@pytest.mark.parametrize("option", [*OPTIONS, *SECRETS], ids=lambda option: option.name)
def test_each_row_is_a_field_and_follows_the_naming_of_its_kind(option: Option) -> None:
    assert option.name in {field.name for field in dataclasses.fields(config.Settings)}
    assert option.env[0] == f"PROXMOX_{option.name.upper()}"
    assert bool(option.flag) is bool(option.ini) is (option in OPTIONS)


@pytest.mark.parametrize(
    ("alias", "field", "text", "also"),
    [
        ("PROXMOX_USERNAME", "user", "ci@pve", {}),
        ("PROXMOX_TOKEN_ID", "token_name", "ci", {"PROXMOX_TOKEN_VALUE": "s"}),
        ("PROXMOX_TOKEN_SECRET", "token_value", "s", {"PROXMOX_TOKEN_NAME": "ci"}),
    ],
    ids=["username", "token id", "token secret"],
)
def test_other_tools_names_of_a_variable_work(
    alias: str, field: str, text: str, also: dict[str, str]
) -> None:
    assert getattr(resolve(Sources(environ={alias: text, **also})), field) == text


def test_first_name_of_a_variable_beats_its_alias() -> None:
    environ = {"PROXMOX_USERNAME": "b@pve", "PROXMOX_USER": "a@pve"}
    assert resolve(Sources(environ=environ)).user == "a@pve"


def test_empty_variable_counts_as_unset() -> None:
    settings = resolve(Sources(environ={"PROXMOX_NODE": ""}, env_file={"PROXMOX_NODE": "pve2"}))
    assert settings.node == "pve2"


def test_empty_option_is_a_mistake_not_a_default() -> None:
    with pytest.raises(InvalidValue, match="option --proxmox-node"):
        resolve(Sources(cli={"node": ""}, ini={"node": "pve2"}))


@pytest.mark.parametrize(
    ("sources", "port", "place"),
    [
        (Sources(environ={"PROXMOX_HOST": "pve.lan:443"}), 443, "PROXMOX_HOST"),
        (
            Sources(environ={"PROXMOX_HOST": "pve.lan:443", "PROXMOX_PORT": "8007"}),
            443,
            "PROXMOX_HOST",
        ),
        (
            Sources(environ={"PROXMOX_HOST": "pve.lan:443"}, cli={"port": "8007"}),
            8007,
            "--proxmox-port",
        ),
        (Sources(environ=HOST, env_file={"PROXMOX_PORT": "8007"}), 8007, ".env.test"),
        (Sources(environ=HOST), 8006, "default"),
    ],
    ids=["host:port", "host:port beats port", "stronger port", "port alone", "default"],
)
def test_port_comes_from_the_strongest_of_host_and_port(
    sources: Sources, port: int, place: str
) -> None:
    settings = resolve(sources)
    assert (settings.port, settings.origin("port").place) == (port, place)


@pytest.mark.parametrize(
    "environ",
    [
        {"PROXMOX_TOKEN_ID": "ci@pve!runner", "PROXMOX_TOKEN_SECRET": "s"},
        {"PROXMOX_USER": "ci@pve!runner", "PROXMOX_TOKEN_VALUE": "s"},
    ],
    ids=["in the token's variable", "in the user's variable"],
)
def test_full_token_id_gives_user_and_token(environ: dict[str, str]) -> None:
    settings = resolve(Sources(environ=environ))
    assert (settings.user, settings.token_name) == ("ci@pve", "runner")


def test_stronger_user_is_not_replaced_by_the_tokens() -> None:
    environ = {"PROXMOX_TOKEN_ID": "ci@pve!runner", "PROXMOX_TOKEN_VALUE": "s"}
    settings = resolve(Sources(environ=environ, cli={"user": "root@pam"}))
    assert (settings.user, settings.token_name) == ("root@pam", "runner")


@pytest.mark.parametrize(
    ("sources", "text"),
    [
        (Sources(cli={"target": "real"}), 'target "real" has no host (option --proxmox)'),
        (
            Sources(environ={"PROXMOX_TOKEN_NAME": "ci"}),
            'token "ci" has no secret (environment variable PROXMOX_TOKEN_NAME)',
        ),
        (
            Sources(environ={"PROXMOX_TOKEN_VALUE": "hush"}),
            "a token's secret is given without the token's name "
            "(environment variable PROXMOX_TOKEN_VALUE)",
        ),
    ],
    ids=["real without host", "token without secret", "secret without token"],
)
def test_values_that_do_not_fit_together_are_refused(sources: Sources, text: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        resolve(sources)
    assert str(caught.value).startswith(text)
    assert "hush" not in str(caught.value)


def test_host_alone_leaves_the_simulator_the_target() -> None:
    assert resolve(Sources(environ=HOST)).kind == "simulator"


def test_secrets_are_in_no_repr_and_no_header() -> None:
    environ = {
        **HOST,
        "PROXMOX_PASSWORD": "hush-1",
        "PROXMOX_TOKEN_NAME": "ci",
        "PROXMOX_TOKEN_VALUE": "hush-2",
    }
    sources = Sources(environ=environ, env_file=environ)
    settings = resolve(sources)
    shown = repr(sources) + repr(settings) + "".join(describe(settings, defaults=True))
    assert "hush" not in shown


def test_header_of_an_untouched_run_names_the_target_only() -> None:
    assert describe(resolve(Sources())) == ["simulator (default)"]


def test_header_shows_each_given_value_with_its_source() -> None:
    sources = Sources(
        cli={"target": "real"},
        environ={**HOST, "PROXMOX_PASSWORD": "hush"},
        ini={"vmid_range": "9000-9099"},
        ini_name="tox.ini",
    )
    assert describe(resolve(sources)) == [
        "real (--proxmox), host pve.lan (PROXMOX_HOST), vmid range 9000-9099 (tox.ini), "
        "password (PROXMOX_PASSWORD)"
    ]


def test_header_keeps_a_real_proxmox_apart_from_the_target() -> None:
    lines = describe(resolve(Sources(environ=HOST, cli={"clock": "instant"})))
    assert lines == [
        "simulator (default), clock instant (--proxmox-clock)",
        "real_proxmox tests, host pve.lan (PROXMOX_HOST)",
    ]


def test_environment_with_a_host_describes_that_host_and_not_the_simulator() -> None:
    settings = resolve(
        Sources(environ=HOST, env_file={"PROXMOX_NODE": "pve7"}, ini={"storage": "fast"})
    )
    assert settings.is_about_real_only("node")
    assert not settings.is_about_real_only("storage")
    assert "node pve7 (.env.test)" in describe(settings)[1]


@pytest.mark.parametrize(
    "sources",
    [
        Sources(environ={"PROXMOX_NODE": "pve7"}),
        Sources(cli={"target": "real"}, environ={**HOST, "PROXMOX_NODE": "pve7"}),
    ],
    ids=["no host", "the target itself"],
)
def test_environment_without_another_host_describes_the_target(sources: Sources) -> None:
    assert not resolve(sources).is_about_real_only("node")


@pytest.mark.parametrize(
    ("platform", "environ", "folder"),
    [
        ("linux", {"HOME": "/h"}, "/h/.local/state/pytest-proxmox"),
        ("linux", {"HOME": "/h", "XDG_STATE_HOME": "/s"}, "/s/pytest-proxmox"),
        ("darwin", {"HOME": "/h"}, "/h/Library/Application Support/pytest-proxmox"),
        ("win32", {"HOME": "/h", "LOCALAPPDATA": "/l"}, "/l/pytest-proxmox"),
    ],
    ids=["linux", "xdg", "macos", "windows"],
)
def test_state_lies_where_the_platform_keeps_it(
    platform: str, environ: dict[str, str], folder: str
) -> None:
    assert state_folder(environ, platform=platform) == Path(folder)


def test_header_with_defaults_shows_what_nobody_set() -> None:
    (line,) = describe(resolve(Sources()), defaults=True)
    assert "clock on-poll (default)" in line
    assert "vmid range 9000-9999 (default)" in line


def test_world_file_is_checked_where_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "lab.json"
    with pytest.raises(InvalidValue, match=r"does not exist \(option --proxmox-world\)"):
        resolve(Sources(cli={"world": str(path)}))
    path.write_text("{}")
    assert resolve(Sources(cli={"world": str(path)})).world == str(path)
