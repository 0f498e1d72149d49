"""Requests that come under other hosts, or from pages of other hosts, do not reach the app."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtdetr_explained.commands.hosts import KnownHosts


def asked(kind: str, headers: list[tuple[str, str]], **served) -> tuple[list, list]:
    """What reaches the app, and what the door answers by itself."""
    reached, answered = [], []

    async def app(scope, receive, send):
        reached.append(scope)

    async def send(message):
        answered.append(message)

    async def receive():
        return {}

    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    scope = {"type": kind, "headers": raw}
    asyncio.run(KnownHosts(app, **{"names": (), "addresses": False, **served})(scope, receive, send))
    return reached, answered


LOCAL = "localhost:8501"
CASES = [  # host, origin, names, addresses, allowed
    (LOCAL, None, "", False, True),
    (LOCAL, "http://localhost:8501", "", False, True),
    ("LocalHost:8501", "http://LOCALHOST:8501", "", False, True),
    ("127.0.0.1:8501", "http://127.0.0.1:8501", "", False, True),
    ("[::1]:8501", "http://[::1]:8501", "", False, True),
    ("127.9.9.9", None, "", False, True),
    # rebinding: a foreign host with the same origin
    ("evil.example:8501", "http://evil.example:8501", "", False, False),
    ("evil.example:8501", "http://evil.example:8501", "", True, False),
    ("localhost.evil.example", None, "", False, False),
    ("evil.example", None, "localhost.example", False, False),
    # a page of another host, or of another server on this computer
    (LOCAL, "http://evil.example", "", False, False),
    (LOCAL, "http://localhost:9999", "", False, False),
    (LOCAL, "null", "", False, False),
    (LOCAL, "", "", False, False),
    # addresses
    ("192.168.0.7:8501", "http://192.168.0.7:8501", "", False, False),
    ("192.168.0.7:8501", "http://192.168.0.7:8501", "", True, True),
    ("[fd00::1]:8501", None, "", True, True),
    # behind a proxy, which keeps the host or gives its own
    ("detr.example.org", "https://detr.example.org", "detr.example.org", False, True),
    ("DETR.example.org.", None, "detr.example.org", False, True),
    (LOCAL, "https://detr.example.org", "detr.example.org", False, True),
    ("detr.example.org", "https://other.example.org", "detr.example.org", False, False),
    ("", None, "", True, False),
    ("a b", None, "", True, False),
    ("[::1", None, "", True, False),
]


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(("host", "origin", "names", "addresses", "allowed"), CASES)
def test_who_is_answered(kind, host, origin, names, addresses, allowed) -> None:
    headers = [("host", host), ("cookie", "c"), *([] if origin is None else [("origin", origin)])]
    reached, answered = asked(kind, headers, names=names.split(), addresses=addresses)
    assert bool(reached) is allowed
    if allowed:
        assert answered == []
        # Streamlit is not asked about the origin again: it would look for its own address in the internet.
        assert [name for name, _ in reached[0]["headers"]] == [b"host", b"cookie"]
    elif kind == "http":
        assert answered[0]["status"] == 421
        assert b"--host NAME" in answered[1]["body"]
        assert b"evil" not in answered[1]["body"]
    else:
        assert answered == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize("headers", [[], [("host", LOCAL), ("host", "evil.example")]])
def test_a_request_has_one_host(headers: list[tuple[str, str]]) -> None:
    assert asked("http", headers)[0] == []


def test_what_is_no_request_passes() -> None:
    assert len(asked("lifespan", [])[0]) == 1


@given(st.text(st.characters(max_codepoint=255)), st.text(st.characters(max_codepoint=255)))
def test_any_host_gets_an_answer(host: str, origin: str) -> None:
    reached, answered = asked("http", [("host", host), ("origin", origin)])
    assert bool(reached) is not bool(answered)
    assert not reached or "localhost" in host.lower() or "127." in host or "::1" in host
