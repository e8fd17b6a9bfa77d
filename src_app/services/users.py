"""Who may log in: registration, login, sessions, passwords and roles."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from datetime import timedelta

from src_app.configuration import Configuration
from src_app.db import sessions
from src_app.db.errors import ConflictError, ValidationError
from src_app.db.models import RefreshToken, User, now
from src_app.db.repositories import RepositoryFactory
from src_app.db.store import Store
from src_app.domain.errors import ConflictError as Conflict
from src_app.domain.errors import (
    InvalidInput,
    NotAllowed,
    NotAuthenticated,
    NotFoundError,
    TooManyAttempts,
)
from src_app.security import passwords
from src_app.security.passwords import Passwords
from src_app.security.tokens import Identity, Tokens
from src_app.services.admission import Admission

USERNAME = re.compile(r"[a-z0-9_-]{3,50}")
USERNAME_RULE = "must be 3 to 50 of a-z, 0-9, _ and -"
WINDOW = timedelta(minutes=15)
TRIES_FOR_A_USER = 5
TRIES_FROM_AN_ADDRESS = 30  # a household behind one address may have several users
FIRST_USER = "first_user"


@dataclass(frozen=True, slots=True)
class Login:
    """A login that worked: both tokens and whom they are for."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    user: User


class Users:
    """Registers users and logs them in."""

    def __init__(self, store: Store, config: Configuration, hasher: Passwords) -> None:
        self._store = store
        self._config = config
        self._passwords = hasher
        self.tokens = Tokens(config.secret_key, lifetime=timedelta(seconds=config.access_token_s))
        self.admission = Admission(store, self.tokens)

    def is_first_run(self) -> bool:
        """Tell whether nobody has registered yet."""
        return self._store.read(lambda db: db.users.count()) == 0

    def register(self, username: str, password: str, email: str | None = None) -> User:
        """Return the new user: the first one ever is the admin.

        Raises:
            InvalidInput, ConflictError; NotAllowed: registration is closed.
        """
        if not self._config.registration and not self.is_first_run():
            raise NotAllowed("Registration is closed; ask an admin for an account")
        return self.create(username, password, email=email)

    def create(
        self, username: str, password: str, *, email: str | None = None, role: str | None = None
    ) -> User:
        """Return the new user; without a role the first one is the admin.

        Raises:
            InvalidInput: name, password or email cannot be; ConflictError: they are taken.
        """
        name = username.strip().lower()
        if not USERNAME.fullmatch(name):
            raise InvalidInput(f"Username {USERNAME_RULE}", fields={"username": USERNAME_RULE})
        check_password(password)
        values = {"username": name, "email": email, "password_hash": self._passwords.hash(password)}

        def add(db: RepositoryFactory) -> User:
            first = _claim_first(db)
            return db.users.create(
                values | {"role": role or ("admin" if first else "user"), "is_active": True}
            )

        try:
            return self._store.run(add)
        except ConflictError as exc:
            raise Conflict(f"That {exc.field} is taken", fields={exc.field: "is taken"}) from exc
        except ValidationError as exc:
            raise InvalidInput(
                str(exc), fields={error.field: error.text for error in exc.errors}
            ) from exc

    def login(self, username: str, password: str, *, address: str) -> Login:
        """Return both tokens.

        Raises:
            TooManyAttempts: before the password is looked at; NotAuthenticated: it is wrong.
        """
        name = username.strip().lower()
        user = self._store.read(lambda db: self._looked_up(db, name, address))
        if not self._passwords.fits(password, user.password_hash if user else None):
            self._store.run(lambda db: _count_failure(db, name, address))
            raise NotAuthenticated("Username or password is wrong")
        if user is None or not user.is_active:
            raise NotAuthenticated("Username or password is wrong")
        return self._store.run(lambda db: self._opened(db, user, password))

    def refresh(self, token: str) -> Login:
        """Return new tokens for a refresh token, which is used up by that.

        Raises:
            NotAuthenticated: it is unknown, expired, or was used before: then all tokens of
                its login end, since somebody has a copy.
        """
        token_id = _token_id(token)
        login, family = self._store.run(lambda db: self._renewed(db, token_id))
        if login is None:
            if family is not None:
                self._store.run(lambda db: sessions.end_family(db, family))
            raise NotAuthenticated("The refresh token is not valid any more; log in again")
        return login

    def logout(self, token: str | None) -> None:
        """End the login that a refresh token belongs to, if it is one."""
        if token is None:
            return
        token_id = _token_id(token)

        def end(db: RepositoryFactory) -> None:
            row = db.refresh_tokens.find_by_id(token_id)
            if row is not None:
                sessions.end_family(db, row.family)

        self._store.run(end)

    def change_password(self, identity: Identity, old: str, new: str) -> None:
        """Set a new password and end all other logins.

        Raises:
            InvalidInput: the old one is wrong, or the new one cannot be.
        """
        check_password(new, "new_password")
        user = self._store.read(lambda db: db.users.get(identity.user_id))
        if not self._passwords.fits(old, user.password_hash):
            raise InvalidInput("The old password is wrong", fields={"old_password": "is wrong"})
        hashed = self._passwords.hash(new)

        def change(db: RepositoryFactory) -> None:
            db.users.update(identity.user_id, {"password_hash": hashed})
            sessions.end_user(db, identity.user_id)

        self._store.run(change)

    def change(
        self, identity: Identity, user_id: int, *, role: str | None, is_active: bool | None
    ) -> User:
        """Return the user with another role, or let in or out; an admin does that.

        Raises:
            NotFoundError; ConflictError: nobody could administrate any more.
        """
        given = {"role": role, "is_active": is_active}
        values = {key: value for key, value in given.items() if value is not None}

        def change(db: RepositoryFactory) -> User:
            if db.users.find_by_id(user_id) is None:
                raise NotFoundError(f"There is no user {user_id}")
            user = db.users.update(user_id, values)
            if sessions.count_admins(db) == 0:
                raise Conflict("The last admin must stay one")
            sessions.end_user(db, user_id)
            return user

        return self._store.run(change)

    def current(self, identity: Identity) -> User:
        """Return the user that a token is about.

        Raises:
            NotAuthenticated: he is gone, or has no access any more.
        """
        user = self._store.read(lambda db: db.users.find_by_id(identity.user_id))
        if user is None or not user.is_active:
            raise NotAuthenticated("This user has no access any more")
        return user

    # --- inside -------------------------------------------------------------------------

    def _looked_up(self, db: RepositoryFactory, name: str, address: str) -> User | None:
        since = now() - WINDOW
        for subject, tries in _subjects(name, address):
            if sessions.count_failures(db, subject, since) >= tries:
                raise TooManyAttempts(
                    "Too many failed logins; wait a quarter of an hour",
                    retry_after_s=int(WINDOW.total_seconds()),
                )
        found = db.users.find_many(where={"username": name}).data
        return found[0] if found else None

    def _opened(self, db: RepositoryFactory, user: User, password: str) -> Login:
        sessions.forget_failures(db, f"user:{user.username}")
        sessions.prune(db, failures_before=now() - 4 * WINDOW, tokens_before=now())
        if self._passwords.is_outdated(user.password_hash):
            db.users.update(user.id, {"password_hash": self._passwords.hash(password)})
        return self._issued(db, user, family=secrets.token_hex(16))

    def _renewed(self, db: RepositoryFactory, token_id: str) -> tuple[Login | None, str | None]:
        row = db.refresh_tokens.find_by_id(token_id)
        if row is None:
            return None, None
        if row.expires_at < now() or not sessions.use_token(db, token_id, now()):
            return None, row.family
        user = db.users.get(row.user_id)
        if not user.is_active:
            return None, row.family
        return self._issued(db, user, family=row.family), None

    def _issued(self, db: RepositoryFactory, user: User, *, family: str) -> Login:
        token = secrets.token_urlsafe(32)
        expires = now() + timedelta(seconds=self._config.refresh_token_s)
        db.session.add(
            RefreshToken(id=_token_id(token), family=family, expires_at=expires, user_id=user.id)
        )
        identity = Identity(user.id, user.username, user.role)
        return Login(self.tokens.issue(identity), token, self._config.access_token_s, user)


def check_password(password: str, field_name: str = "password") -> None:
    """Return where the password may be used.

    Raises:
        InvalidInput: it is too short or too long.
    """
    if not passwords.SHORTEST <= len(password) <= passwords.LONGEST:
        raise InvalidInput(f"Password {passwords.RULE}", fields={field_name: passwords.RULE})


def _token_id(token: str) -> str:
    """Return what is stored of a refresh token: a thief of the database cannot use it."""
    return hashlib.sha256(token.encode()).hexdigest()


def _subjects(name: str, address: str) -> tuple[tuple[str, int], ...]:
    return (f"user:{name}"[:128], TRIES_FOR_A_USER), (f"from:{address}", TRIES_FROM_AN_ADDRESS)


def _count_failure(db: RepositoryFactory, name: str, address: str) -> None:
    for subject, _ in _subjects(name, address):
        db.login_failures.create({"subject": subject})


def _claim_first(db: RepositoryFactory) -> bool:
    """Tell whether this is the first user: of two that come at once only one is."""
    try:
        db.settings.create({"key": FIRST_USER, "value": "registered"})
    except ConflictError:
        return False
    return db.users.count() == 0
