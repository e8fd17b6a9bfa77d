"""What a run's settings mean for a target that is not embedded: its endpoint, its facts."""

from __future__ import annotations

from pathlib import Path

from pytest_proxmox import spellings
from pytest_proxmox.clock import Clock
from pytest_proxmox.config import Settings, TargetKind
from pytest_proxmox.options import DEFAULT_PORT
from pytest_proxmox.target.calls import Api, Calls
from pytest_proxmox.target.endpoint import Endpoint
from pytest_proxmox.target.facts import Given, TargetFacts, discover
from pytest_proxmox.target.session import connect


def endpoint_of(settings: Settings, kind: TargetKind) -> Endpoint:
    """Return where the real Proxmox, or the server at the settings' URL, is and who logs in.

    Raises:
        InvalidValue: no host or no credentials are given.
    """
    where = spellings.Address(settings.host or "", settings.port)
    if kind == "url":
        where = spellings.address(settings.target, settings.origin("target").text)
    verify = settings.verify_ssl
    return Endpoint(
        host=where.host,
        port=where.port or DEFAULT_PORT,
        user=settings.user,
        password=settings.password,
        token_name=settings.token_name,
        token_value=settings.token_value,
        verify_ssl=bool(verify),
        ca_file=Path(verify) if isinstance(verify, str) else None,
    )


def given_for(settings: Settings, kind: TargetKind) -> Given:
    """Return what the settings say about a target of this kind; the rest is found there."""

    def about(name: str) -> str | None:
        value: str | None = getattr(settings, name)
        return value if kind == "real" or not settings.is_about_real_only(name) else None

    return Given(
        node=about("node"),
        storage=about("storage"),
        backup_storage=about("backup_storage"),
        template=about("template"),
        bridge=about("bridge"),
    )


def visit(
    settings: Settings, kind: TargetKind, endpoint: Endpoint, clock: Clock
) -> tuple[Api, TargetFacts]:
    """Return a logged-in handle on the Proxmox at ``endpoint``, and what is known about it.

    Raises:
        UserMistake: it cannot be reached or logged in to, or is not what the settings say.
        ApiFailure: it cannot be read.
    """
    api = connect(endpoint)
    facts = discover(
        Calls(api, clock),
        given_for(settings, kind),
        kind=kind,
        url=endpoint.url,
        user=endpoint.identity,
    )
    return api, facts
