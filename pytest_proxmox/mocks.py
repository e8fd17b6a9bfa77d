"""Mocks that cannot drift from the class they stand for, and a Proxmox client double.

Prefer the embedded Proxmox, which answers as a node does. A strict mock is for the code next to
it: it has the class's methods and no others, takes the parameters they take, is async where
they are, gives only what they are annotated to give, and refuses a call that nobody stubbed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from pytest_proxmox.errors import MockDrift, UnstubbedCall
from pytest_proxmox.hygiene import members
from pytest_proxmox.hygiene.result_types import mismatch, result_type

T = TypeVar("T")

__all__ = ["MockDrift", "Stub", "UnstubbedCall", "proxmox_double", "strict_mock"]

_PROTOCOLS = (  # methods that Python looks up on the type
    "__enter__ __exit__ __aenter__ __aexit__ __iter__ __next__ __aiter__ __anext__ "
    "__len__ __contains__ __getitem__ __setitem__ __delitem__ __call__"
).split()
_CONTEXTS = {"__enter__", "__exit__", "__aenter__", "__aexit__"}


def strict_mock(cls: type[T], /, **stubs: Any) -> T:
    """Return a stand-in for an instance of ``cls``; ``stubs`` are results or values by name.

    ``strict_mock(Service, status="running")`` lets ``status(...)`` return "running", or have
    that value if it is an attribute. More is said on the methods themselves:
    ``mock.status.returns("running")``, ``.raises(OSError())``, ``.does(function)``, and
    ``.when(vmid=100).returns("stopped")`` for calls with these arguments only; ``.calls`` has
    what was called.

    Raises:
        MockDrift: a stub that the class has no place for, or a result of another type.
    """
    methods = {name: _own_protocol(cls, name) for name in _PROTOCOLS if hasattr(cls, name)}
    kind = type(f"StrictMock[{cls.__name__}]", (_StrictMock,), methods)
    mock = kind(cls)
    for name, stub in stubs.items():
        setattr(mock, name, stub)
    return cast(T, mock)


@dataclass(frozen=True)
class Call:
    """One call: the parameters by name, defaults not filled in."""

    arguments: Mapping[str, Any]

    def covers(self, other: Call) -> bool:
        """Return whether ``other`` has all of these arguments."""
        return all(
            name in other.arguments and other.arguments[name] == value
            for name, value in self.arguments.items()
        )


class Answer:
    """What a stubbed call does: return, raise, or run a function."""

    def __init__(self, stub: Stub, when: Call) -> None:
        self._stub = stub
        self.when = when
        self.act: Callable[..., Any] | None = None

    def returns(self, *values: Any) -> Stub:
        """Let the call give ``values`` in turn, the last one from then on.

        Raises:
            MockDrift: a value is not of the annotated type.
        """
        for value in values:
            self._stub.check(value)
        remaining = list(values)
        return self._with(lambda *_, **__: remaining.pop(0) if remaining[1:] else remaining[0])

    def raises(self, error: BaseException | type[BaseException]) -> Stub:
        """Let the call raise ``error``."""

        def fail(*_: Any, **__: Any) -> Any:
            raise error

        return self._with(fail)

    def does(self, function: Callable[..., Any]) -> Stub:
        """Let the call run ``function`` with the call's own arguments.

        Raises:
            MockDrift: the function asks for parameters that the method does not have.
        """
        self._stub.check_parameters(function)
        return self._with(function)

    def _with(self, act: Callable[..., Any]) -> Stub:
        self.act = act
        self._stub.add(self)
        return self._stub


class Stub:
    """A method of a strict mock."""

    def __init__(self, cls: type, name: str, function: Callable[..., Any]) -> None:
        self.name = f"{cls.__name__}.{name}"
        self.is_async = inspect.iscoroutinefunction(inspect.unwrap(function))
        self.calls: list[Call] = []
        self._answers: list[Answer] = []
        self._signature = _signature(cls, name, function)
        self._result = result_type(function)

    def __repr__(self) -> str:
        return f"<strict mock of {self.name}{self._signature}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Record the call and give what is stubbed; a coroutine where the method is async.

        Raises:
            UnstubbedCall: nothing was said about such a call.
            TypeError: the method does not take these arguments.
        """
        call = self._bind(args, kwargs)
        self.calls.append(call)
        fitting = [answer for answer in reversed(self._answers) if answer.when.covers(call)]
        if not fitting or fitting[0].act is None:
            raise UnstubbedCall.of(self.name, dict(call.arguments))
        act = fitting[0].act
        return self._later(act, args, kwargs) if self.is_async else self._now(act, args, kwargs)

    def when(self, *args: Any, **kwargs: Any) -> Answer:
        """Return the answer to calls that have these arguments, whatever others they have.

        Raises:
            MockDrift: the method has no such parameters.
        """
        try:
            bound = self._signature.bind_partial(*args, **kwargs)
        except TypeError as exc:
            raise MockDrift(
                f"{self.name}{self._signature} cannot be called so: {exc}",
                hint="Give when() parameters that the method has",
            ) from exc
        return Answer(self, Call(bound.arguments))

    def returns(self, *values: Any) -> Stub:
        """Let any call give ``values`` in turn; see ``Answer.returns``."""
        return self.when().returns(*values)

    def raises(self, error: BaseException | type[BaseException]) -> Stub:
        """Let any call raise ``error``."""
        return self.when().raises(error)

    def does(self, function: Callable[..., Any]) -> Stub:
        """Let any call run ``function``; see ``Answer.does``."""
        return self.when().does(function)

    def add(self, answer: Answer) -> None:
        """Let ``answer`` be asked before the older ones."""
        self._answers = [one for one in self._answers if one is not answer] + [answer]

    def check(self, value: object) -> None:
        """Refuse a result that the method is not annotated to give.

        Raises:
            MockDrift: naming the place in the value.
        """
        if (wrong := mismatch(value, self._result)) is not None:
            raise MockDrift(
                f"{self.name}: {wrong}",
                hint="Stub a value of the annotated type, or mend the annotation",
            )

    def check_parameters(self, function: Callable[..., Any]) -> None:
        """Refuse a function that the method's calls could not be passed on to.

        Raises:
            MockDrift: naming the parameters.
        """
        try:
            wanted = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            return  # a builtin does not tell
        named = {
            one.name for one in wanted if one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD)
        }
        takes_any = any(one.kind is one.VAR_KEYWORD for one in self._signature.parameters.values())
        if not takes_any and (unknown := named - self._signature.parameters.keys()):
            raise MockDrift(
                f"{self.name}{self._signature} has no parameter {', '.join(sorted(unknown))}",
                hint="Give does() a function with the method's own parameters",
            )

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        try:
            return Call(self._signature.bind(*args, **kwargs).arguments)
        except TypeError as exc:
            raise TypeError(f"{self.name}{self._signature}: {exc}") from exc

    def _now(self, act: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        value = act(*args, **kwargs)
        self.check(value)
        return value

    async def _later(self, act: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        value = act(*args, **kwargs)
        if inspect.isawaitable(value):
            value = await value
        self.check(value)
        return value


class _StrictMock:
    """The instance; its type is made for each mock, for the methods Python looks up there."""

    def __init__(self, cls: type) -> None:
        object.__setattr__(self, "_strict_mock", (cls, {}))

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return cast(type, object.__getattribute__(self, "_strict_mock")[0])

    def __repr__(self) -> str:
        return f"<strict mock of {self.__class__.__name__}>"

    def __getattr__(self, name: str) -> Any:
        cls, stubs = object.__getattribute__(self, "_strict_mock")
        if name in stubs:
            return stubs[name]
        function = members.method(cls, name)
        if function is not None:
            return stubs.setdefault(name, Stub(cls, name, function))
        if name in members.attributes(cls):
            raise UnstubbedCall.of_attribute(cls.__name__, name)
        raise AttributeError(members.unknown(cls, name))

    def __setattr__(self, name: str, value: Any) -> None:
        cls, stubs = object.__getattribute__(self, "_strict_mock")
        if members.method(cls, name) is not None:
            stub = getattr(self, name)
            stub.does(value) if callable(value) else stub.returns(value)
        elif name in members.attributes(cls):
            stubs[name] = value
        else:
            raise MockDrift(members.unknown(cls, name))


def _own_protocol(cls: type, name: str) -> Callable[..., Any]:
    is_async = inspect.iscoroutinefunction(getattr(cls, name))

    def call(mock: Any, *args: Any, **kwargs: Any) -> Any:
        _, stubs = object.__getattribute__(mock, "_strict_mock")
        if name in _CONTEXTS and name not in stubs:
            return mock if "enter" in name else None
        return getattr(mock, name)(*args, **kwargs)

    async def call_async(mock: Any, *args: Any, **kwargs: Any) -> Any:
        value = call(mock, *args, **kwargs)
        return await value if inspect.isawaitable(value) else value

    return call_async if is_async else call


def _signature(cls: type, name: str, function: Callable[..., Any]) -> inspect.Signature:
    signature = inspect.signature(function)
    if isinstance(inspect.getattr_static(cls, name), staticmethod):
        return signature
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def proxmox_double() -> Any:
    """Return a double of ``proxmoxer.ProxmoxAPI`` that answers from PVE's own schema.

    Paths, verbs and parameters are checked as PVE checks them; an answer has the shape the
    method declares, emptied (a list without items, an object with its required keys), until
    ``double.stub("GET", "/nodes/{node}/lxc", [{"vmid": 100, "status": "running"}])`` says more.
    It keeps no state: use the embedded Proxmox for what a write changes.
    """
    from pytest_proxmox.doubles import ProxmoxDouble

    return ProxmoxDouble()
