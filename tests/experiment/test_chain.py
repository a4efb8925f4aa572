"""Pieces of work that need one another: order, side by side, failures, what others work on."""

import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from pathlib import Path

import pytest

from segforge.compute.executors import InlineExecutor, Resources, threads
from segforge.experiment.chain import Chain, Course, Piece
from segforge.experiment.commands import Command, Ending, Place

DONE, HERE = Ending(None, 1.0), Place()


def piece(name: str, *needs: str, **more) -> Piece:
    return Piece(name, Command((name,), Path("log"), 1), needs, **more)


def carried_out(pieces: list[Piece], work: Callable[[Command], Ending], places=(HERE,)) -> tuple[Course, list[str]]:
    told: list[str] = []
    with threads(Resources(len(places))) as executor:
        course = Chain(pieces, places, lambda piece, course: told.append(f"{piece.name} {len(course)}")).carry_out(
            executor, work
        )
    return course, told


def test_each_piece_comes_after_what_it_needs() -> None:
    begun: list[str] = []

    def work(command: Command) -> Ending:
        begun.append(command.words[0])
        return DONE

    course, told = carried_out([piece("c", "a", "b"), piece("b", "a"), piece("a"), piece("d")], work)
    assert begun == ["a", "d", "b", "c"] or begun.index("a") < begun.index("b") < begun.index("c")
    assert sorted(course.done) == ["a", "b", "c", "d"] and not course.failures
    assert [line.split()[1] for line in told] == ["1", "2", "3", "4"]


def test_what_is_done_is_not_done_again() -> None:
    def work(command: Command) -> Ending:
        assert command.words == ("b",)
        return DONE

    course, told = carried_out([piece("a", is_done=lambda: True), piece("b", "a")], work)
    assert course.done == ["a", "b"] and list(course.endings) == ["b"] and told == ["a 1", "b 2"]


def test_an_executor_that_broke_ends_the_course_with_the_reason() -> None:
    class Broken(InlineExecutor):
        def submit(self, function, /, *args, **kwargs):
            if args[0].words[0] == "a":
                return super().submit(function, *args, **kwargs)
            raise BrokenExecutor("the scheduler is gone")

    pieces = [piece("a"), piece("b"), piece("c"), piece("d", "b")]
    course = Chain(pieces, [Place(), Place()], lambda piece, course: None).carry_out(Broken(), lambda command: DONE)
    reason = "its executor failed: the scheduler is gone"
    assert course.done == ["a"] and course.failures == {"b": reason, "c": reason, "d": "needs b"}


def test_a_failure_takes_with_it_only_what_needs_it() -> None:
    def work(command: Command) -> Ending:
        return Ending("no room on the disk", 2.0) if command.words[0] == "a" else DONE

    course, told = carried_out([piece("a"), piece("b"), piece("after a", "a"), piece("last", "after a", "b")], work)
    assert course.done == ["b"]
    assert course.failures == {"a": "no room on the disk", "after a": "needs a", "last": "needs after a"}
    assert sorted(line.split()[-1] for line in told) == ["1", "2", "3", "4"]


def test_what_is_impossible_is_left_out_with_what_needs_it_unless_it_is_done() -> None:
    pieces = [piece("a"), piece("b"), piece("after a", "a"), piece("c", is_done=lambda: True)]
    reason = "2 cases could not be preprocessed"
    chain = Chain(pieces, [Place()], lambda piece, course: None, {"a": reason, "c": reason})
    course = chain.carry_out(InlineExecutor(), lambda command: DONE)
    assert sorted(course.done) == ["b", "c"] and course.failures == {"a": reason, "after a": "needs a"}


def test_a_worker_that_dies_is_a_failure_of_its_piece() -> None:
    def work(command: Command) -> Ending:
        if command.words[0] == "a":
            raise RuntimeError("the worker at tcp://x is gone")
        return DONE

    course, _ = carried_out([piece("a"), piece("b")], work)
    assert course.failures == {"a": "its worker failed: the worker at tcp://x is gone"} and course.done == ["b"]


def test_as_many_are_under_way_as_there_are_places_each_at_its_own() -> None:
    meeting, devices = threading.Barrier(2, timeout=20), []

    def work(command: Command) -> Ending:
        meeting.wait()
        devices.append(command.place.device)
        meeting.wait()
        return DONE

    carried_out([piece(name) for name in "abcd"], work, places=(Place("cuda:0"), Place("cuda:1")))
    assert sorted(devices[:2]) == sorted(devices[2:]) == ["cuda:0", "cuda:1"]


def test_what_another_process_works_on_is_left_to_it(caplog: pytest.LogCaptureFixture, monkeypatch) -> None:
    monkeypatch.setattr("segforge.experiment.chain._PAUSE", 0.01)
    caplog.set_level("INFO", "segforge")
    looks = iter(["process 7 on box"] * 3)
    begun: list[str] = []

    def work(command: Command) -> Ending:
        begun.append(command.words[0])
        return DONE

    theirs = piece("a", worker=lambda: next(looks, None), is_done=lambda: True)
    course, _ = carried_out([theirs, piece("b")], work)
    assert begun == ["b"] and sorted(course.done) == ["a", "b"] and "a" not in course.endings
    assert caplog.messages == ["a is left to another: process 7 on box."]


def test_one_who_was_quicker_is_no_failure(monkeypatch) -> None:
    monkeypatch.setattr("segforge.experiment.chain._PAUSE", 0.01)
    looks = iter([None, "process 7 on box"])
    dones = iter([False, True])

    def work(command: Command) -> Ending:
        return Ending("is being trained by process 7", 0.1, is_busy=True)

    course, _ = carried_out([piece("a", worker=lambda: next(looks, None), is_done=lambda: next(dones))], work)
    assert course.done == ["a"] and not course.failures


def test_an_interruption_comes_through() -> None:
    def work(command: Command) -> Ending:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Chain([piece("a")], [""], lambda piece, course: None).carry_out(InlineExecutor(), work)
