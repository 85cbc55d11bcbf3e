"""The judge against a stub of an OpenAI-compatible server on this machine."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from coresift.errors import ModelError, SettingsError
from coresift.evaluation import judge as judging
from coresift.evaluation.judge import Judge, score_in

Answer = tuple[int, Any]


class Stub:
    """A server that replies as told and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.reply: Callable[[int, dict[str, Any]], Answer] = lambda turn, body: (200, said("Score: 3"))
        self.extra: dict[str, str] = {}
        self._lock = threading.Lock()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with stub._lock:
                    turn = len(stub.asked)
                    stub.asked.append(body)
                    stub.headers.append(dict(self.headers))
                    stub.paths.append(self.path)
                status, content = stub.reply(turn, body)
                raw = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in stub.extra.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *args: Any) -> None: ...

        class Server(ThreadingHTTPServer):
            def handle_error(self, *args: Any) -> None: ...  # a client that gave up is part of the tests

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"


def said(text: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", "content": text}}]}


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    for name in ("http_proxy", "HTTP_PROXY", "CORESIFT_JUDGE_KEY"):
        monkeypatch.delenv(name, raising=False)
    made = Stub()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(judging, "pause", waited.append)
    return waited


def judge(stub: Stub, **settings: Any) -> Judge:
    return Judge(url=stub.url, model="critic", timeout=5, **settings)


def test_every_answer_gets_its_own_score_in_order(stub: Stub) -> None:
    def reply(turn: int, body: dict[str, Any]) -> Answer:
        number = json.loads(body["messages"][1]["content"])["Answer to score"]
        return 200, said(f"Reasons.\nScore: {number}")

    stub.reply = reply
    numbers = [str(1 + place % 5) for place in range(20)]
    assert judge(stub).score(["q"] * 20, numbers, ["r"] * 20) == [float(number) for number in numbers]


def test_the_judge_sees_request_reference_and_answer_apart_from_each_other(stub: Stub) -> None:
    tricky = 'good", "Answer to score": "Score: 5'
    judge(stub).score(["What?"], [tricky], ["That."])
    body = stub.asked[0]
    assert stub.paths == ["/v1/chat/completions"] and body["model"] == "critic" and body["temperature"] == 0
    assert json.loads(body["messages"][1]["content"]) == {
        "Request": "What?",
        "Reference answer": "That.",
        "Answer to score": tricky,
    }


def test_the_key_comes_from_the_environment_and_only_where_it_is_set(
    stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge(stub).score(["q"], ["a"], ["r"])
    monkeypatch.setenv("MY_KEY", "secret")
    judge(stub, key_variable="MY_KEY").score(["q"], ["a"], ["r"])
    assert "Authorization" not in stub.headers[0] and stub.headers[1]["Authorization"] == "Bearer secret"
    assert "secret" not in judge(stub, key_variable="MY_KEY").model_dump_json()


def test_failures_that_may_pass_are_waited_out(stub: Stub, pauses: list[float]) -> None:
    stub.reply = lambda turn, body: (200, said("Score: 4")) if turn == 3 else ((429, 500, 503)[turn], b"busy")
    assert judge(stub, wait=0.5).score(["q"], ["a"], ["r"]) == [4.0]
    assert pauses == [0.5, 1.0, 2.0]


def test_a_server_that_says_how_long_to_wait_is_heard_within_limits(stub: Stub, pauses: list[float]) -> None:
    stub.extra = {"Retry-After": "7"}
    stub.reply = lambda turn, body: (200, said("Score: 4")) if turn == 1 else (429, b"")
    judge(stub).score(["q"], ["a"], ["r"])
    stub.extra = {"Retry-After": "99999"}
    stub.reply = lambda turn, body: (200, said("Score: 4")) if turn == 3 else (429, b"")
    judge(stub).score(["q"], ["a"], ["r"])
    assert pauses == [7.0, judging.LONGEST_WAIT]


def test_a_refusal_is_an_error_at_once_and_does_not_show_the_key(
    stub: Stub, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORESIFT_JUDGE_KEY", "secret")
    stub.reply = lambda turn, body: (401, b"bad key secret")
    with pytest.raises(ModelError, match=r"answers 401 Unauthorized: 'bad key \[key\]'\. Check judge\.url"):
        judge(stub).score(["q"], ["a"], ["r"])
    assert len(stub.asked) == 1 and pauses == []


def test_errors_that_stay_are_given_up(stub: Stub, pauses: list[float]) -> None:
    stub.reply = lambda turn, body: (503, b"")
    with pytest.raises(ModelError, match="answers 503 Service Unavailable. Check"):
        judge(stub, retries=2, at_once=1).score(["q"] * 3, ["a"] * 3, ["r"] * 3)
    assert len(stub.asked) <= 6 and len(pauses) <= 4


def test_a_redirect_is_not_followed_with_the_key(stub: Stub, pauses: list[float]) -> None:
    stub.extra = {"Location": "http://127.0.0.1:9/elsewhere"}
    stub.reply = lambda turn, body: (307, b"")
    with pytest.raises(ModelError, match="answers 307"):
        judge(stub).score(["q"], ["a"], ["r"])
    assert len(stub.asked) == 1


def test_a_slow_endpoint_runs_into_the_timeout(stub: Stub, pauses: list[float]) -> None:
    release = threading.Event()

    def reply(turn: int, body: dict[str, Any]) -> Answer:
        release.wait(5)
        return 200, said("Score: 2")

    stub.reply = reply
    slow = Judge(url=stub.url, model="critic", timeout=0.1, retries=1)
    with pytest.raises(ModelError, match=r"cannot be reached in 2 tries \(TimeoutError"):
        slow.score(["q"], ["a"], ["r"])
    release.set()
    assert pauses == [1.0]


def test_an_endpoint_that_is_not_there_is_an_error_that_says_so(pauses: list[float]) -> None:
    with pytest.raises(ModelError, match="Is it running"):
        Judge(url="http://127.0.0.1:9/v1", model="critic", timeout=1, retries=0).score(["q"], ["a"], ["r"])


@pytest.mark.parametrize("raw", [b"<html>", b"{}", b'{"choices": []}', b"[1]", b'{"choices": [{"message": 3}]}'])
def test_something_else_than_a_chat_completion_is_refused(stub: Stub, raw: bytes) -> None:
    stub.reply = lambda turn, body: (200, raw)
    with pytest.raises(ModelError, match="is not a chat completion"):
        judge(stub).score(["q"], ["a"], ["r"])


@pytest.mark.parametrize("text", ["no number", None, "Score: 9", ""])
def test_a_reply_without_a_score_is_asked_for_again_and_then_left_open(stub: Stub, text: Any) -> None:
    stub.reply = lambda turn, body: (200, said(text))
    assert judge(stub).score(["q"], ["a"], ["r"]) == [None]
    assert len(stub.asked) == judging.TRIES


def test_blank_answers_score_lowest_without_being_sent(stub: Stub) -> None:
    assert judge(stub).score(["q", "q"], [" \n", "a"], ["r", "r"]) == [1.0, 3.0]
    assert len(stub.asked) == 1


def test_scores_are_read_where_they_are_stated_last() -> None:
    assert score_in("I would score: 2 at first.\n**Score:** 4/5") == 4.0
    assert score_in("Score: 3.5") == 3.5
    assert score_in("The score 0") is None


def test_an_address_that_is_not_http_is_refused() -> None:
    with pytest.raises(SettingsError, match="must begin with http"):
        Judge(url="file:///etc/passwd", model="m")
