"""Who asks: a user, or one of a user's tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ROOT: Final = "root@pam"
MIN_USERID: Final = 3
MAX_USERID: Final = 64


@dataclass(frozen=True, slots=True)
class Auth:
    """Who asks. ``tokenid`` is the token's short name where a token asks."""

    userid: str
    tokenid: str | None = None

    @property
    def name(self) -> str:
        """``user@realm`` or ``user@realm!token``, as a UPID has it."""
        return f"{self.userid}!{self.tokenid}" if self.tokenid else self.userid

    @property
    def is_root_ticket(self) -> bool:
        """Whether it is ``root@pam`` itself: a token of root's is not."""
        return self.userid == ROOT and self.tokenid is None

    @classmethod
    def parse(cls, name: str) -> Auth:
        """Return who ``user@realm`` or ``user@realm!token`` is."""
        userid, _, tokenid = name.partition("!")
        return cls(userid, tokenid or None)


NOBODY: Final = Auth("")
