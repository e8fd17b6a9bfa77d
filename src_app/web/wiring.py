"""What routes ask for: the manager, and who it is that asks."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from src_app.domain.errors import NotAllowed, NotAuthenticated
from src_app.security.tokens import Identity
from src_app.services.manager import Manager

bearer = HTTPBearer(auto_error=False, description="The access token of a login")


def manager_of(request: Request) -> Manager:
    """Return the process's manager."""
    manager: Manager = request.app.state.manager
    return manager


def require_user(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> Identity:
    """Return who is logged in.

    Raises:
        NotAuthenticated: nobody.
    """
    if credentials is None:
        raise NotAuthenticated("Log in first: this needs the header Authorization: Bearer …")
    identity = manager_of(request).users.tokens.read(credentials.credentials)
    return identity


def require_admin(identity: Annotated[Identity, Depends(require_user)]) -> Identity:
    """Return the admin who is logged in.

    Raises:
        NotAllowed: somebody else is.
    """
    if not identity.is_admin:
        raise NotAllowed("Only an admin may do that")
    return identity


TheManager = Annotated[Manager, Depends(manager_of)]
AnyUser = Annotated[Identity, Depends(require_user)]
Admin = Annotated[Identity, Depends(require_admin)]
