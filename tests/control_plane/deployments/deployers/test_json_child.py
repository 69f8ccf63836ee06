"""The processes that a worker keeps: asked many things at once, and started again whenever they die."""

import os
import signal
import sys
import threading

import pytest

from control_plane.deployments.deployers._json_child import Child, ChildDied, KeptChild
from tests.control_plane.processes import is_alive, wait_until

STAND_IN = """
import json, os, sys

def say(message):
    print(json.dumps(message) if isinstance(message, dict) else message, flush=True)

if "broken" in sys.argv:
    sys.exit("it cannot start")
say({"ready": True})
kept = []
for line in sys.stdin:
    message = json.loads(line)
    match message["op"]:
        case "greet":
            say({"id": message["id"], "text": f"hello {message['name']}"})
        case "keep":
            kept.append(message)
        case "answer all, the last first":
            for one in reversed(kept):
                say({"id": one["id"], "text": one["name"]})
        case "junk":
            for word in ("Warning: not JSON", "42", "null", "[1]", '{"id": 999, "text": "for nobody"}', "\\xff"):
                say(word)
            say({"id": message["id"], "text": "after all that"})
        case "die":
            os._exit(3)
        case "pid of a child":
            import subprocess
            say({"id": message["id"], "pid": subprocess.Popen(["sleep", "60"]).pid})
"""


def command(*more):
    return [sys.executable, "-c", STAND_IN, *more]


@pytest.fixture
def child():
    started = Child("the stand-in", command(), os.environ)
    assert started.wait_ready(20)
    yield started
    started.kill()


@pytest.fixture
def kept():
    keeps = KeptChild("the stand-in", command(), os.environ)
    yield keeps
    keeps.end()


def greet(child, name="ada"):
    with child.request({"op": "greet", "name": name}) as conversation:
        return conversation.receive(10)["text"]


def test_it_works(child):
    assert greet(child) == "hello ada"
    assert greet(child, "grace") == "hello grace"


def test_each_answer_goes_to_whoever_asked(child):
    one, other = child.request({"op": "keep", "name": "one"}), child.request({"op": "keep", "name": "other"})
    child.send({"op": "answer all, the last first"})
    assert (one.receive(10)["text"], other.receive(10)["text"]) == ("one", "other")


def test_many_threads_may_ask_at_once(child):
    answers = {}

    def ask(name):
        answers[name] = greet(child, name)

    threads = [threading.Thread(target=ask, args=(f"thread {number}",)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert answers == {f"thread {number}": f"hello thread {number}" for number in range(20)}


def test_one_that_says_nothing_is_waited_for_no_longer_than_asked(child):
    with child.request({"op": "keep", "name": "x"}) as conversation:
        assert conversation.receive(0.05) is None
    assert child.is_alive


def test_one_that_dies_in_the_middle_is_said_to_everybody_who_waits(child):
    waiting = child.request({"op": "keep", "name": "x"})
    with child.request({"op": "die"}) as conversation, pytest.raises(ChildDied, match="the stand-in ended unexpectedly"):
        conversation.receive(10)
    with pytest.raises(ChildDied):
        waiting.receive(10)


def test_one_that_hangs_can_be_ended_with_its_own_children(child):
    with child.request({"op": "pid of a child"}) as conversation:
        grandchild = conversation.receive(10)["pid"]
    os.kill(child.pid, signal.SIGSTOP)
    with child.request({"op": "greet", "name": "x"}) as conversation:
        assert conversation.receive(0.05) is None
        child.kill()
        with pytest.raises(ChildDied):
            conversation.receive(10)
    wait_until(lambda: not is_alive(grandchild))


def test_nobody_can_talk_to_the_dead(child):
    child.kill()
    with pytest.raises(ChildDied):
        child.request({"op": "greet", "name": "x"})


def test_what_is_no_answer_to_anybody_does_no_harm(child):
    with child.request({"op": "junk"}) as conversation:
        assert conversation.receive(10)["text"] == "after all that"
    assert greet(child) == "hello ada"


def test_it_is_started_when_it_is_needed_and_kept(kept):
    assert kept.pid is None
    first = kept.get()
    assert greet(first) == "hello ada"
    assert kept.get() is first
    assert kept.pid == first.pid


def test_one_that_died_is_started_again(kept):
    first = kept.get()
    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: not first.is_alive)
    assert kept.running is None
    second = kept.get()
    assert second.pid != first.pid
    assert greet(second) == "hello ada"


def test_a_successor_takes_over_once_it_is_ready(kept):
    first = kept.get()
    kept.replace(first)
    assert not first.is_alive
    assert kept.pid not in (None, first.pid)
    assert greet(kept.get()) == "hello ada"


def test_one_that_cannot_start_is_said(capfd):
    broken = KeptChild("the stand-in", command("broken"), os.environ)
    with pytest.raises(ChildDied, match="did not start"):
        broken.get()
    # Its last words are where the worker's log goes.
    assert "it cannot start" in capfd.readouterr().err


def test_after_the_end_nothing_runs(kept):
    pid = kept.get().pid
    kept.end()
    assert kept.pid is None
    wait_until(lambda: not is_alive(pid))
