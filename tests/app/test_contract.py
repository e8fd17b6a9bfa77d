"""What OpenAPI says is what the API does: generated requests, alone and in chains."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.stateful import run_state_machine_as_test
from schemathesis import Case
from schemathesis.specs.openapi import checks as openapi_checks
from starlette.testclient import TestClient

from src_app.web.application import API
from tests.app.conftest import VMIDS, Caller

pytestmark = [pytest.mark.vmid_range(size=VMIDS), pytest.mark.slow]
QUICK = settings(
    max_examples=8,
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
# They end the login that the run uses, or let nobody in for a quarter of an hour.
NOT_CALLED = ("/auth/change-password", "/auth/logout", "/users/{user_id}")


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

    found = schemathesis.openapi.from_asgi(f"{API}/openapi.json", started)
    return found.exclude(path=[API + path for path in NOT_CALLED])


def _check(case: Case[Any], token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    case.call_and_validate(headers=headers, checks=CHECKS)


def test_every_answer_is_as_documented(schema: Any, admin: Caller) -> None:
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) >= 50
    for operation in operations:

        @QUICK
        @given(case=operation.as_strategy())
        def check(case: Case[Any]) -> None:
            _check(case, admin.token)

        check()


def test_chains_of_requests_are_answered_as_documented(schema: Any, admin: Caller) -> None:
    class Chains(schema.as_state_machine()):  # type: ignore[misc]  # made from the document
        def get_call_kwargs(self, case: Case[Any]) -> dict[str, Any]:
            return {"headers": {"Authorization": f"Bearer {admin.token}"}}

        def validate_response(self, response: Any, case: Case[Any], **given: Any) -> None:
            case.validate_response(response, checks=CHECKS)

    run_state_machine_as_test(Chains, settings=settings(QUICK, stateful_step_count=6))
    assert admin.get("/auth/me")["role"] == "admin"
