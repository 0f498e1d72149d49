"""Downloads that break off are continued where that is safe, and started again where it is not."""

from __future__ import annotations

import pytest
from download_server import BODY, OTHER_BODY, SHA256, Handler, stalling, status, truncated, whole, without_ranges

from rtdetr_explained.weights.download import DownloadError


def test_a_truncated_transfer_is_resumed_where_it_broke_off(server, get):
    server.behaviours = [truncated, truncated, whole]
    assert get().read_bytes() == BODY
    assert server.ranges() == [None, "bytes=100000-", "bytes=200000-"]
    assert [request.get("If-Range") for request in server.requests] == [None, '"one"', '"one"']


def test_a_transfer_that_goes_on_may_break_off_more_often_than_there_are_attempts(server, get):
    server.behaviours = [truncated]
    assert get(attempts=1, sha256=SHA256).read_bytes() == BODY
    assert len(server.requests) == 6


def test_a_stalled_transfer_is_resumed(server, get):
    server.behaviours = [stalling, whole]
    assert get(sha256=SHA256, timeout_s=0.5).read_bytes() == BODY
    assert server.ranges()[0] is None
    assert server.ranges()[-1] == "bytes=100000-"


def test_a_server_that_always_stalls_is_given_up(server, get):
    server.behaviours = [lambda handler: handler.server.over.wait(20)]
    with pytest.raises(DownloadError, match=r"sent nothing for 0.1 s; .* nano works offline"):
        get(attempts=2, timeout_s=0.1)
    assert len(server.requests) == 2


def test_without_ranges_the_transfer_starts_again(server, get):
    server.behaviours = [truncated, without_ranges(None)]
    assert get().read_bytes() == BODY
    assert server.ranges() == [None, "bytes=100000-"]


def test_transfers_that_always_break_off_at_the_same_place_are_given_up(server, get, tmp_path):
    server.behaviours = [without_ranges(100_000)]
    with pytest.raises(DownloadError, match="closed after 100000 of 600000 bytes"):
        get(attempts=3)
    assert len(server.requests) == 4  # one that got somewhere, three that got no further
    assert not (tmp_path / "weights.pth").exists()


def test_a_later_call_goes_on_with_what_an_earlier_one_left(server, get):
    server.behaviours = [truncated, status(503), whole]
    with pytest.raises(DownloadError, match="503"):
        get(attempts=1)
    assert get().read_bytes() == BODY
    assert server.ranges() == [None, "bytes=100000-", "bytes=100000-"]


def test_the_leftover_of_another_address_is_not_continued(server, get, tmp_path):
    (tmp_path / "weights.pth.part").write_bytes(OTHER_BODY[:1000])
    (tmp_path / "weights.pth.part.tag").write_text('http://elsewhere/weights.pth\n"one"')
    assert get().read_bytes() == BODY
    assert server.ranges() == [None]


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"one"'}], ids=["no tag", "weak tag"])
def test_without_a_strong_tag_the_transfer_starts_again(server, get, headers):
    server.behaviours = [lambda handler: handler.answer(BODY, send=100_000, **headers), whole]
    assert get().read_bytes() == BODY
    assert server.ranges() == [None, None]


def test_the_date_of_the_last_change_serves_as_a_tag(server, get):
    date = {"Last_Modified": "Sat, 01 Aug 2026 00:00:00 GMT"}
    server.behaviours = [
        lambda handler: handler.answer(BODY, send=100_000, **date),
        lambda handler: handler.answer(BODY, start=handler.start, **date),
    ]
    assert get().read_bytes() == BODY
    assert server.requests[1]["If-Range"] == date["Last_Modified"]


def test_a_file_that_changed_between_attempts_is_fetched_whole(server, get):
    server.behaviours = [
        lambda handler: handler.answer(OTHER_BODY, send=100_000, ETag='"another"'),
        whole,
    ]
    assert get().read_bytes() == BODY


@pytest.mark.parametrize("shift", [0, 5], ids=["changed tag", "other start"])
def test_a_part_that_does_not_fit_is_not_appended(server, get, shift):
    tag = '"one"' if shift else '"another"'
    server.behaviours = [
        truncated,
        lambda handler: handler.answer(OTHER_BODY, start=handler.start + shift, ETag=tag),
        whole,
    ]
    assert get().read_bytes() == BODY
    assert server.ranges() == [None, "bytes=100000-", None]


def test_a_part_longer_than_the_file_is_dropped(server, get, tmp_path):
    (tmp_path / "weights.pth.part").write_bytes(BODY + b"more")
    (tmp_path / "weights.pth.part.tag").write_text(f'{server.url}\n"one"')
    server.behaviours = [status(416), whole]
    assert get().read_bytes() == BODY


def chunked(handler: Handler, closing: bytes) -> None:
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(f"{len(BODY):x}\r\n".encode() + BODY + b"\r\n" + closing)


def test_chunks_that_end_too_early_are_noticed(server, get):
    server.behaviours = [lambda handler: chunked(handler, b""), lambda handler: chunked(handler, b"0\r\n\r\n")]
    assert get().read_bytes() == BODY
    assert len(server.requests) == 2


def test_an_interrupted_caller_leaves_a_part_to_go_on_from(server, get):
    def cancel(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(progress=cancel)
    assert get(sha256=SHA256).read_bytes() == BODY
    assert server.ranges()[1] is not None
