"""A training that has a time ends in it with its schedule run out, whatever the machine does, and goes on after a kill."""

import itertools
import random
from dataclasses import dataclass
from pathlib import Path

import pytest
from clocks import Clock, ClockedTrainer
from training_jobs import job

from segforge.errors import SegForgeError
from segforge.networks.checkpoint import load_checkpoint
from segforge.training.budget import TimedCourse
from segforge.training.course import Countdown
from segforge.training.extension import course_facts
from segforge.training.history import EpochRecord
from segforge.training.settings import TrainingSettings

FINAL, LATEST = "checkpoint_final.safetensors", "checkpoint_latest.safetensors"

pytestmark = pytest.mark.usefixtures("no_pictures")


@dataclass
class Machine:
    """How long things take on it, in seconds."""

    step: float
    overhead: float = 0.1
    first: float = 0.0  # besides, the first step of all
    picture: float = 0.0  # every 30 s
    noise: float = 0.0  # in the mean, as a share of each of these
    changes_at: float = 2.0  # share of the time, from which on all takes
    factor: float = 1.0  # times as long
    seed: int = 0


@dataclass
class Outcome:
    seconds: float
    rates: list[float]
    steps: list[int]  # of each epoch


def course_of(seconds: float, clock: Clock, **settings) -> TimedCourse:
    numbers = TrainingSettings.parse({"batch_size": 2, "budget_seconds": seconds} | settings, "test")
    countdown = Countdown(seconds=seconds, learning_rate=numbers.learning_rate, warmup=numbers.warmup)
    return TimedCourse(numbers, countdown, clock=clock)


def train(seconds: float, machine: Machine, **settings) -> Outcome:
    """What a trainer does with a course, by a clock that goes on as fast as the machine."""
    clock, noise = Clock(), random.Random(machine.seed)
    begin, drawn, epoch = clock.now, clock.now, 0
    outcome, course = Outcome(0.0, [], []), course_of(seconds, clock, **settings)

    def spend(time: float) -> None:
        factor = machine.factor if clock.now - begin > machine.changes_at * seconds else 1.0
        clock.now += time * factor * (1 + (noise.expovariate(1 / machine.noise) if machine.noise else 0))

    while course.goes_on(epoch):
        course.begin_epoch(epoch, 0)
        steps = 0
        while steps < course.iterations and not (course.ends_epoch(steps) and steps):
            outcome.rates.append(course.learning_rate(epoch))
            spend(machine.step + (0 if len(outcome.rates) > 1 else machine.first))
            steps += 1
        course.begin_validation()
        spend(machine.step / 3 * course.validation_steps(steps) + machine.overhead)
        course.end_epoch()
        if clock.now - drawn > 30:
            spend(machine.picture)
            drawn = clock.now
        outcome.steps.append(steps)
        epoch += 1
    spend(machine.overhead / 2)  # the final checkpoint
    outcome.seconds = clock.now - begin
    return outcome


MACHINES = {
    "quick": Machine(0.02, overhead=0.05),
    "quiet": Machine(0.3, overhead=0.3, picture=1.0),
    "slow": Machine(2.0, overhead=1.0),
    "compiles first": Machine(0.3, first=30.0),
    "noisy": Machine(0.3, overhead=0.3, noise=0.5, picture=1.0),
    "becomes slow": Machine(0.3, overhead=0.3, changes_at=0.5, factor=3.0),
    "becomes slow at the end": Machine(0.3, overhead=0.3, changes_at=0.9, factor=2.0),
    "becomes quick": Machine(0.3, overhead=0.3, changes_at=0.5, factor=0.2),
}


@pytest.mark.parametrize(("name", "seconds"), [*((name, 120.0) for name in MACHINES), ("noisy", 3600.0), ("slow", 3600.0)])
def test_it_ends_in_time_with_the_schedule_run_out(name: str, seconds: float) -> None:
    outcome = train(seconds, MACHINES[name])
    assert seconds - 10 < outcome.seconds < seconds + 3
    assert outcome.rates[0] == 0.01
    assert all(later <= before for before, later in zip(outcome.rates, outcome.rates[1:], strict=False))
    assert outcome.rates[-1] < 0.0005


@pytest.mark.parametrize("seed", range(5))
def test_other_noise_changes_little(seed: int) -> None:
    machine = Machine(0.3, overhead=0.3, noise=1.0, picture=1.0, seed=seed)
    outcome = train(120.0, machine)
    assert 105 < outcome.seconds < 125
    assert outcome.rates[-1] < 0.0005


def test_epochs_have_the_usual_steps_where_there_is_time_for_them_and_a_fiftieth_of_the_time_else() -> None:
    long, short = train(3600.0, Machine(0.2)), train(60.0, Machine(0.1, overhead=0.01))
    assert max(long.steps) == 250 and min(long.steps[:-1]) > 240
    assert len(short.steps) in range(49, 53)
    assert max(short.steps[1:-1]) - min(short.steps[1:-1]) <= 1


def test_validation_and_saving_take_no_more_than_a_fifth_where_they_are_slow() -> None:
    machine = Machine(0.5, overhead=4.0)
    outcome = train(600.0, machine)
    assert machine.overhead * len(outcome.steps) < 0.2 * 600


def test_time_is_kept_for_the_final_checkpoint_where_saving_is_slow() -> None:
    assert 110 < train(120.0, Machine(0.1, overhead=4.0)).seconds < 120.1


def test_an_epoch_that_was_given_all_the_time_is_the_last_even_if_it_ends_early() -> None:
    clock = Clock()
    course = course_of(100.0, clock, iterations=10)
    course.begin_epoch(0, 0)
    for steps in range(3):
        course.ends_epoch(steps)
        clock.now += 1
    course.begin_validation()
    course.end_epoch()
    assert not course.is_last(0) and course.goes_on(1)
    clock.now += 95.5
    course.begin_epoch(1, 0)
    clock.now += 0.25
    assert course.left == 1.25 and course.is_last(1) and not course.goes_on(2)


def test_a_step_longer_than_the_whole_time_is_taken_once() -> None:
    assert train(1.0, Machine(9.0)).steps == [1]


def test_fewer_validation_steps_follow_fewer_training_steps() -> None:
    course = course_of(120.0, Clock())
    course.begin_epoch(0, 0)
    assert [course.validation_steps(steps) for steps in (250, 125, 5, 1)] == [50, 25, 1, 1]


def test_a_warm_up_comes_before_the_schedule() -> None:
    outcome = train(100.0, Machine(0.5, overhead=0.01), warmup=4)
    ends = [sum(outcome.steps[:epoch]) for epoch in range(5)]
    warming = [outcome.rates[begin:end] for begin, end in itertools.pairwise(ends)]
    assert [set(rates) for rates in warming] == [{0.0025}, {0.005}, {0.0075}, {0.01}]
    rates = outcome.rates[ends[-1] :]
    assert rates[0] == pytest.approx(0.01, rel=1e-3)
    assert rates == sorted(rates, reverse=True) and rates[-1] < 0.0005


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_other_schedules_run_out_too(schedule: str) -> None:
    rates = train(100.0, Machine(0.5), schedule=schedule).rates
    assert rates[-1] == 0.01 if schedule == "constant" else rates[-1] < 0.00001
    assert rates[len(rates) // 2] == pytest.approx(0.01 if schedule == "constant" else 0.005, abs=0.0003)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    clock.rule(monkeypatch)
    return clock


SETTINGS = {"epochs": None, "budget_seconds": 30.0, "iterations": 20, "validation_iterations": 4}


def clocked(folder: Path, clock: Clock, kind: type[ClockedTrainer] = ClockedTrainer, **settings) -> ClockedTrainer:
    trainer = kind(job(folder, **SETTINGS | settings))
    trainer.clock = clock
    return trainer


def test_a_trainer_ends_in_time_with_a_final_model(tmp_path: Path, clock: Clock) -> None:
    trainer = clocked(tmp_path, clock)
    trainer.run()
    assert 26 < clock.now - 1000 <= 30
    facts = load_checkpoint(tmp_path / FINAL).facts
    countdown = course_facts(facts).countdown
    assert countdown.spent == pytest.approx(clock.now - 1000)
    assert trainer.rates == sorted(trainer.rates, reverse=True) and trainer.rates[-1] < 0.0012
    records = trainer.history.read()
    assert [record.epoch for record in records] == list(range(facts.epoch))
    assert sum(record.iterations for record in records) == len(trainer.rates)
    assert [record.learning_rate for record in records][-1] == trainer.rates[-1]
    assert not (tmp_path / LATEST).exists()


class Dies(ClockedTrainer):
    """Is gone before an epoch is saved."""

    def on_epoch_end(self, record: EpochRecord) -> None:
        if record.epoch == 5:
            raise KeyboardInterrupt


def test_a_killed_one_has_the_time_that_was_left_and_its_schedule_never_rises(tmp_path: Path, clock: Clock) -> None:
    first = clocked(tmp_path, clock, Dies)
    with pytest.raises(KeyboardInterrupt):
        first.run()
    saved = load_checkpoint(tmp_path / LATEST).facts
    spent = course_facts(saved).countdown.spent
    assert 0 < spent <= clock.now - 1000
    clock.now += 500  # it is started again much later
    begin = clock.now
    second = clocked(tmp_path, clock)
    second.run()
    assert 26 < spent + clock.now - begin <= 30
    kept = [rate for rate in first.rates if rate >= second.rates[0]]
    assert 0 < len(first.rates) - len(kept) < 10  # those since the checkpoint
    rates = kept + second.rates
    assert rates == sorted(rates, reverse=True) and rates[-1] < 0.0012
    assert [record.epoch for record in second.history.read()] == list(range(second.epoch))


class Interrupted(ClockedTrainer):
    """Is stopped within an epoch, when it has spent nearly all of its time."""

    def on_epoch_end(self, record: EpochRecord) -> None:
        if self.course.left < 8:
            self.clock.now += 20
            raise KeyboardInterrupt


def test_one_that_has_spent_its_time_only_writes_its_model(tmp_path: Path, clock: Clock) -> None:
    with pytest.raises(KeyboardInterrupt):
        clocked(tmp_path, clock, Interrupted).run()
    begin = clock.now
    trainer = clocked(tmp_path, clock)
    facts = load_checkpoint(tmp_path / LATEST).facts
    trainer.run()
    assert clock.now - begin <= 30 - course_facts(facts).countdown.spent
    assert (tmp_path / FINAL).is_file()


def test_the_length_is_either_epochs_or_a_time(tmp_path: Path) -> None:
    assert job(tmp_path, epochs=None, budget_seconds=5.0).settings.epochs is None
    assert TrainingSettings.parse({"batch_size": 2}, "test").epochs == 1000
    for both in ({"epochs": 5, "budget_seconds": 5.0}, {"epochs": None, "budget_seconds": None}):
        with pytest.raises(SegForgeError, match="either a number of epochs or a budget of time; give --epochs or --budget"):
            TrainingSettings.parse({"batch_size": 2} | both, "test")
    for wrong in (0, -3, float("nan"), float("inf")):
        with pytest.raises(SegForgeError, match="budget_seconds"):
            TrainingSettings.parse({"batch_size": 2, "budget_seconds": wrong}, "test")


def test_a_checkpoint_with_a_course_that_cannot_be_is_refused(tmp_path: Path, clock: Clock) -> None:
    facts = load_checkpoint_of(tmp_path, clock)
    for course in ({"countdown": {"seconds": -1, "learning_rate": 0.1}}, {"countdwn": None}, {"countdown": 3}):
        with pytest.raises(SegForgeError, match="course in the checkpoint is not valid"):
            course_facts(facts.model_copy(update={"course": course}))


def load_checkpoint_of(folder: Path, clock: Clock):
    clocked(folder, clock, budget_seconds=2.0).run()
    return load_checkpoint(folder / FINAL).facts
