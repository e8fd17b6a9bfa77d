"""What routes ask for: the manager, and who it is that asks.

All of it is ``async``: FastAPI would send each plain function to a thread of its own.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from src_app.domain.errors import NotAllowed, NotAuthenticated
from src_app.security.tokens import Identity
from src_app.services.manager import Manager
from src_app.web.rendered import Rendered

bearer = HTTPBearer(auto_error=False, description="The access token of a login")


async def manager_of(request: Request) -> Manager:
    """Return the process's manager."""
    manager: Manager = request.app.state.manager
    return manager


async def require_user(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> Identity:
    """Return who is logged in.

    Raises:
        NotAuthenticated: nobody.
    """
    if credentials is None:
        raise NotAuthenticated("Log in first: this needs the header Authorization: Bearer …")
    manager = await manager_of(request)
    return await manager.users.admission.admit(credentials.credentials)


async def require_admin(identity: Annotated[Identity, Depends(require_user)]) -> Identity:
    """Return the admin who is logged in.

    Raises:
        NotAllowed: somebody else is.
    """
    if not identity.is_admin:
        raise NotAllowed("Only an admin may do that")
    return identity


async def rendered_of(request: Request) -> Rendered:
    """Return the process's rendered answers."""
    rendered: Rendered = request.app.state.rendered
    return rendered


TheManager = Annotated[Manager, Depends(manager_of)]
TheRendered = Annotated[Rendered, Depends(rendered_of)]
AnyUser = Annotated[Identity, Depends(require_user)]
Admin = Annotated[Identity, Depends(require_admin)]
