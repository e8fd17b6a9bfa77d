"""What the lint finds in a test module, and what it lets pass."""

from __future__ import annotations

import pytest

from pytest_proxmox.hygiene.lint import findings

OFFENCES = {
    "no-assertion": "print(1)",
    "tautological-status": "assert answer.status_code in (200, 404, 500)",
    "raises-anything": "with pytest.raises(Exception): assert work()",
    "hard-sleep": "time.sleep(1); assert work()",
}
INNOCENT = {
    "helper": "check_sum(1)",
    "mock": "mock.assert_called_once()",
    "another-test": "plan.test_create(service)",
    "state-machine": "run_state_machine_as_test(Life)",
    "good-statuses": "assert answer.status_code in (200, 201, 204)",
    "two-statuses": "assert answer.status_code in (200, 404)",
    "narrowed": "with pytest.raises(Exception, match='gone'): work()",
    "clock-of-its-own": "clock.sleep(1); assert work()",
    "yield-to-the-loop": "asyncio.sleep(0); assert work()",
    "skipped": "pytest.skip('later')",
    "allowed": "time.sleep(1)  # lint: hard-sleep - the kernel's own timer\n    assert work()",
}


def a_test(body: str, name: str = "test_it") -> str:
    return f"def {name}():\n    {body}\n"


@pytest.mark.parametrize(("rule", "body"), OFFENCES.items(), ids=OFFENCES)
def test_offence_is_found_at_its_line(rule: str, body: str) -> None:
    (found,) = findings(a_test(body))

    assert found.rule == rule
    assert found.line == (1 if rule == "no-assertion" else 2)
    assert found.render("tests/test_a.py").startswith(f"tests/test_a.py:{found.line}: ")


@pytest.mark.parametrize("body", INNOCENT.values(), ids=INNOCENT)
def test_innocent_test_is_let_pass(body: str) -> None:
    assert findings(a_test(body)) == []


def test_allowing_one_rule_allows_no_other() -> None:
    source = a_test("time.sleep(1); assert work()  # lint: no-assertion")

    assert [one.rule for one in findings(source)] == ["hard-sleep"]


def test_name_defined_twice_hides_the_first() -> None:
    source = a_test("assert 1") + a_test("assert 2") + a_test("assert 3", "test_other")

    assert [(one.line, one.rule) for one in findings(source)] == [(1, "duplicate-name")]


def test_classes_are_looked_into_and_helpers_are_not() -> None:
    method = "    def test_it(self):\n        print(1)\n"

    for head in ("class TestA:", "class Life(unittest.TestCase):"):
        assert [one.rule for one in findings(f"{head}\n{method}")] == ["no-assertion"]
    assert findings(f"class Helper:\n{method}def prepare():\n    print(1)\n") == []
