"""What OpenAPI says is what the API does: generated requests, alone and in chains.

``CONTRACT_EXAMPLES=N`` generates N for each route, and N chains; without it 8.
"""

from __future__ import annotations

import itertools
import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.stateful import run_state_machine_as_test
from schemathesis import Case
from schemathesis.specs.openapi import checks as openapi_checks
from starlette.testclient import TestClient

from src_app.security.tokens import Identity
from src_app.services.manager import Manager
from src_app.web.application import API
from tests.app.conftest import PASSWORD, VMIDS, Caller

pytestmark = [pytest.mark.vmid_range(size=VMIDS), pytest.mark.slow]
QUICK = settings(
    max_examples=int(os.environ.get("CONTRACT_EXAMPLES", "8")),
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CHECKS: list[Any] = [
    schemathesis.checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.response_headers_conformance,
]
ADMINS = itertools.count()


@pytest.fixture
def schema(client: TestClient, admin: Caller) -> Any:
    """The document of the running app, every request with an admin's token."""

    async def started(scope: Any, receive: Any, send: Any) -> None:
        """Pass requests on; ``client`` has started the app already."""
        if scope["type"] != "lifespan":
            await client.app(scope, receive, send)
            return
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})

    return schemathesis.openapi.from_asgi(f"{API}/openapi.json", started)


def _token(manager: Manager) -> str:
    """Return an admin's token: what is generated may end an earlier one's login, or his role."""
    user = manager.users.create(f"admin-{next(ADMINS)}", PASSWORD, role="admin")
    return manager.users.tokens.issue(Identity(user.id, user.username, user.role))


def test_every_answer_is_as_documented(schema: Any, manager: Manager) -> None:
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) >= 55
    passed: set[str] = set()
    for operation in operations:
        headers = {"Authorization": f"Bearer {_token(manager)}"}
        label = operation.label

        @QUICK
        @given(case=operation.as_strategy())
        def check(case: Case[Any]) -> None:
            answer = case.call_and_validate(headers=headers, checks=CHECKS)  # noqa: B023
            if answer.status_code < 400:
                passed.add(label)  # noqa: B023

        check()
    assert len(passed) >= 20, sorted(passed)  # the others need something that is there


def test_chains_of_requests_are_answered_as_documented(schema: Any, manager: Manager) -> None:
    class Chains(schema.as_state_machine()):  # type: ignore[misc]  # made from the document
        def setup(self) -> None:
            self.headers = {"Authorization": f"Bearer {_token(manager)}"}

        def get_call_kwargs(self, case: Case[Any]) -> dict[str, Any]:
            return {"headers": self.headers}

        def validate_response(self, response: Any, case: Case[Any], **given: Any) -> None:
            case.validate_response(response, checks=CHECKS)

    run_state_machine_as_test(Chains, settings=settings(QUICK, stateful_step_count=6))
