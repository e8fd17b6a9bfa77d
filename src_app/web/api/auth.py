"""Registration, login and sessions."""

from __future__ import annotations

from fastapi import APIRouter, Request

from src_app.services.audit import record
from src_app.web.api.shapes import token_out, user_out
from src_app.web.problems import responses
from src_app.web.schemas import (
    Credentials,
    LogoutRequest,
    PasswordChange,
    RefreshRequest,
    Registration,
    RowId,
    TokenOut,
    UserChange,
    UserOut,
)
from src_app.web.wiring import Admin, AnyUser, TheManager

router = APIRouter(tags=["auth"])


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"


@router.post("/auth/register", status_code=201, responses=responses(403, 409, 422))
def register(body: Registration, request: Request, manager: TheManager) -> TokenOut:
    """Register and log in: the first user ever is the admin."""
    user = manager.users.register(body.username, body.password, body.email)
    record(manager, "register", user.username, user_id=user.id)
    login = manager.users.login(body.username, body.password, address=_address(request))
    return token_out(login)


@router.post("/auth/login", responses=responses(401, 422, 429))
def log_in(body: Credentials, request: Request, manager: TheManager) -> TokenOut:
    """Log in with name and password."""
    login = manager.users.login(body.username, body.password, address=_address(request))
    record(manager, "login", login.user.username, user_id=login.user.id)
    return token_out(login)


@router.post("/auth/refresh", responses=responses(401, 422))
def refresh(body: RefreshRequest, manager: TheManager) -> TokenOut:
    """Get new tokens for a refresh token, which is used up by that."""
    return token_out(manager.users.refresh(body.refresh_token))


@router.post("/auth/logout", status_code=204, responses=responses(401, 422))
def log_out(body: LogoutRequest, identity: AnyUser, manager: TheManager) -> None:
    """End the login that the refresh token belongs to."""
    manager.users.logout(body.refresh_token)
    record(manager, "logout", identity.username, user_id=identity.user_id)


@router.get("/auth/me", responses=responses(401))
def me(identity: AnyUser, manager: TheManager) -> UserOut:
    """Return who is logged in."""
    return user_out(manager.users.current(identity))


@router.post("/auth/change-password", status_code=204, responses=responses(401, 422))
def change_password(body: PasswordChange, identity: AnyUser, manager: TheManager) -> None:
    """Set a new password; all other logins end."""
    manager.users.current(identity)
    manager.users.change_password(identity, body.old_password, body.new_password)
    record(manager, "change-password", identity.username, user_id=identity.user_id)


@router.get("/users", responses=responses(401, 403))
def list_users(_: Admin, manager: TheManager) -> list[UserOut]:
    """Return all users."""
    found = manager.store.read(lambda db: db.users.find_many(limit=1000).data)
    return [user_out(user) for user in found]


@router.patch("/users/{user_id}", responses=responses(401, 403, 404, 409, 422))
def change_user(user_id: RowId, body: UserChange, identity: Admin, manager: TheManager) -> UserOut:
    """Give a user another role, or let him in or out."""
    user = manager.users.change(identity, user_id, role=body.role, is_active=body.is_active)
    changes = body.model_dump(exclude_none=True)
    record(manager, "change-user", user.username, user_id=identity.user_id, details=changes)
    return user_out(user)
