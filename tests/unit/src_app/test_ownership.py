"""A guest is destroyed only where the evidence shows that this service made it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src_app.proxmox.ownership import (
    KILLED,
    RUNNING,
    Claim,
    Claims,
    Evidence,
    TaskFact,
    Verdict,
    judge,
    marked,
    nonce_in,
    unmarked,
)
from src_app.proxmox.tasks import Upid

NONCE = "n0123456789abcdef"
OTHER = "nfedcba9876543210"


def upid(kind: str = "vzcreate", *, at: int = 1000, pstart: int = 1) -> Upid:
    return Upid.parse(f"UPID:pve:00000627:{pstart:08X}:{at:08X}:{kind}:9001:root@pam:")


def task(kind: str, *, at: int = 2000, pstart: int = 9, status: str = "OK") -> TaskFact:
    return TaskFact(upid(kind, at=at, pstart=pstart), status)


CLAIM = Claim("pve", 9001, NONCE, upid())
UNANSWERED = Claim("pve", 9001, NONCE)
OURS = marked("", NONCE)


def evidence(
    description: str = "", *tasks: TaskFact, lock: str | None = None, making: str = "OK"
) -> Evidence:
    return Evidence(description, lock, making, tasks)


@pytest.mark.parametrize(
    ("claim", "found", "verdict"),
    [
        pytest.param(None, evidence(OURS), Verdict.UNCLAIMED, id="no-claim-whatever-it-says"),
        pytest.param(CLAIM, evidence(OURS), Verdict.OURS, id="nonce"),
        pytest.param(CLAIM, evidence(f"shop\n{OURS}\n"), Verdict.OURS, id="nonce-beside-text"),
        pytest.param(UNANSWERED, evidence(OURS), Verdict.OURS, id="nonce-of-a-lost-answer"),
        pytest.param(CLAIM, evidence(""), Verdict.UNPROVEN, id="no-description"),
        pytest.param(CLAIM, evidence(marked("", OTHER)), Verdict.UNPROVEN, id="nonce-of-another"),
        pytest.param(CLAIM, evidence(lock="create", making=RUNNING), Verdict.OURS, id="being-made"),
        pytest.param(
            CLAIM, evidence(lock="create", making=KILLED), Verdict.OURS, id="half-made-by-us"
        ),
        pytest.param(
            CLAIM, evidence(lock="create", making="OK"), Verdict.UNPROVEN, id="half-made-by-others"
        ),
        pytest.param(
            CLAIM, evidence(lock="create", making=""), Verdict.UNPROVEN, id="half-made-task-unknown"
        ),
        pytest.param(
            UNANSWERED, evidence(lock="create", making=""), Verdict.UNPROVEN, id="half-made-no-upid"
        ),
        pytest.param(
            CLAIM,
            evidence(marked("", OTHER), lock="create", making=RUNNING),
            Verdict.OURS,
            id="clone-shows-its-sources-description-while-it-is-made",
        ),
    ],
)
def test_proof_decides(claim: Claim | None, found: Evidence, verdict: Verdict) -> None:
    assert judge(claim, found) is verdict


@pytest.mark.parametrize("kind", ["vzcreate", "vzrestore", "vzdestroy", "qmcreate", "qmdestroy"])
def test_task_that_gave_the_vmid_to_another_beats_the_nonce(kind: str) -> None:
    assert judge(CLAIM, evidence(OURS, task(kind))) is Verdict.REPLACED


@pytest.mark.parametrize(
    "harmless",
    [
        pytest.param(task("vzstart"), id="start"),
        pytest.param(task("vzdestroy", status="CT is locked (backup)"), id="destroy-that-failed"),
        pytest.param(task("vzdestroy", at=999), id="destroy-before-ours"),
        pytest.param(task("vzdestroy", at=1000, pstart=0), id="destroy-earlier-in-our-second"),
        pytest.param(task("vzcreate", at=1000, pstart=1), id="our-own-create"),
    ],
)
def test_task_that_left_our_guest_alone_contradicts_nothing(harmless: TaskFact) -> None:
    assert judge(CLAIM, evidence(OURS, harmless)) is Verdict.OURS


@pytest.mark.parametrize("status", ["WARNINGS: 1", RUNNING])
def test_destroy_that_warned_or_runs_took_effect(status: str) -> None:
    assert judge(CLAIM, evidence(OURS, task("vzdestroy", status=status))) is Verdict.REPLACED


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_mark_is_found_in_any_description_and_can_be_taken_off(text: str) -> None:
    with_mark = marked(text, NONCE)

    assert nonce_in(with_mark) == NONCE
    assert unmarked(with_mark) == unmarked(text)


def test_new_mark_replaces_the_sources_mark() -> None:
    assert nonce_in(marked(marked("shop", OTHER), NONCE)) == NONCE


def test_mark_survives_the_newline_that_proxmox_adds() -> None:
    assert nonce_in(OURS + "\n") == NONCE


def test_two_claims_never_share_a_nonce() -> None:
    assert Claim.new("pve", 9001).nonce != Claim.new("pve", 9001).nonce


def test_vmid_is_claimed_once_only() -> None:
    claims = Claims()

    assert claims.stake(Claim.new("pve", 9001))
    assert not claims.stake(Claim.new("pve", 9001))


def test_dropping_an_old_claim_keeps_the_one_that_followed() -> None:
    claims, old, new = Claims(), Claim.new("pve", 9001), Claim.new("pve", 9001)
    claims.stake(old)
    claims.drop(old)
    claims.stake(new)

    claims.drop(old)

    assert claims.get(9001) == new


def test_confirmed_claim_is_dropped_by_the_unconfirmed_one() -> None:
    claims, claim = Claims(), Claim.new("pve", 9001)
    claims.stake(claim)
    claims.confirm(claim, upid())

    claims.drop(claim)

    assert claims.get(9001) is None


def test_refused_claim_is_gone_and_its_reason_remembered() -> None:
    claims, claim = Claims(), Claim.new("pve", 9001)
    claims.stake(claim)

    claims.refuse(claim, because="CT 9001 already exists")

    assert claims.get(9001) is None
    assert claims.refusal(9001) == "CT 9001 already exists"


def test_clone_is_listed_before_its_source() -> None:
    claims = Claims()
    for vmid in (9001, 9002):
        claims.stake(Claim.new("pve", vmid))

    assert [claim.vmid for claim in claims.newest_first()] == [9002, 9001]


def test_task_list_of_a_real_node_is_read() -> None:
    listed = {  # golden 14 seq 90, shortened
        "starttime": 1795293092, "id": "9001", "status": "OK", "tokenid": "ci", "user": "pt@pve",
        "upid": "UPID:pve1:00002AF5:00081976:6B01FFA4:vzdestroy:9001:pt@pve!ci:",
    }  # fmt: skip

    found = Evidence.read({"description": "x", "lock": "create"}, making=RUNNING, tasks=[listed])

    assert (found.lock, found.making, found.tasks[0].upid.user) == ("create", RUNNING, "pt@pve!ci")
