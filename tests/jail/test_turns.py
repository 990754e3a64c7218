"""Laws of the queue: who came first is served first, dear tasks hold nobody up, and every wait ends."""

from __future__ import annotations

import threading
import time

import pytest

from hashmatch.errors import BusyError, IsolationError
from hashmatch.jail.turns import QueueTurn, Turns


def queued(turns: Turns, *, is_dear: bool = False) -> QueueTurn:
    """Stand in the queue without waiting."""
    turn = QueueTurn(is_dear=is_dear)
    with pytest.raises(BusyError):
        turns.wait_for(turn, until=time.monotonic())
    return turn


def placed(turns: Turns, *, is_dear: bool = False) -> QueueTurn:
    """Take a place that is free."""
    turn = QueueTurn(is_dear=is_dear)
    turns.wait_for(turn, most_waiting=0)
    return turn


def order(turns: Turns, first: QueueTurn, waiting: list[QueueTurn]) -> list[int]:
    """Give the place on and on: numbers of the turns as they are called."""
    called = []
    at_work = first
    for _ in range(len(waiting)):
        turns.give_back(at_work)
        (at_work,) = [turn for turn in waiting if turn.has_place]
        called.append(waiting.index(at_work))
    return called


def test_first_come_first_served() -> None:
    """The order of asking is the order of serving."""
    turns = Turns(1)
    first = placed(turns)
    assert order(turns, first, [queued(turns) for _ in range(20)]) == list(range(20))


def test_dear_tasks_wait_for_cheap_ones_but_not_for_ever() -> None:
    """Eight cheap ones pass the first dear one, then it is its turn."""
    turns = Turns(1)
    first = placed(turns)
    waiting = [queued(turns, is_dear=number < 2) for number in range(22)]
    assert order(turns, first, waiting) == [*range(2, 10), 0, *range(10, 18), 1, *range(18, 22)]


@pytest.mark.parametrize(("places", "for_dear"), [(1, 1), (2, 1), (3, 1), (8, 4)])
def test_dear_tasks_have_at_most_half_of_the_places(places: int, for_dear: int) -> None:
    """However many there are, the others find a place."""
    turns = Turns(places)
    dear = [placed(turns, is_dear=True) for _ in range(for_dear)]
    late = queued(turns, is_dear=True)
    cheap = [placed(turns) for _ in range(places - for_dear)]
    for turn in cheap:
        turns.give_back(turn)
    assert not late.has_place or places == for_dear
    turns.give_back(dear[0])
    assert late.has_place


def test_who_leaves_the_queue_does_not_hold_it_up() -> None:
    """A turn that was given up is not called, and its place goes to the next."""
    turns = Turns(1)
    first = placed(turns)
    gone, stays = queued(turns), queued(turns)
    turns.give_back(gone)
    turns.give_back(first)
    assert (gone.has_place, stays.has_place) == (False, True)
    turns.give_back(stays)
    placed(turns)


def test_the_bound_is_on_those_who_wait() -> None:
    """A place that is free is taken whatever the bound."""
    turns = Turns(2)
    placed(turns)
    placed(turns)
    with pytest.raises(BusyError) as caught:
        turns.wait_for(QueueTurn(), most_waiting=0)
    assert caught.value.reason == "queue-full"


def test_closing_wakes_all() -> None:
    """Those who wait and those who come later are sent away."""
    turns = Turns(1)
    placed(turns)
    found: list[str] = []

    def wait() -> None:
        try:
            turns.wait_for(QueueTurn())
        except IsolationError as error:
            found.append(error.reason)

    threads = [threading.Thread(target=wait) for _ in range(5)]
    for thread in threads:
        thread.start()
    while len(turns._cheap) < 5:
        time.sleep(0.01)
    turns.close()
    for thread in threads:
        thread.join(60)
    wait()
    assert found == ["closed"] * 6


def noted(turns: Turns, seconds: float, *, is_dear: bool = False) -> None:
    """Let many tasks have taken so long."""
    for _ in range(100):
        turns.note(seconds, is_dear=is_dear)


def test_the_wait_is_predicted_from_those_before_and_how_long_recent_ones_took() -> None:
    """Nothing is waited for while a place is free; then each before costs its share of the places."""
    turns = Turns(4)
    noted(turns, 0.1)
    assert turns.expected_wait() == 0
    for _ in range(4):
        placed(turns)
    for ahead in range(3):
        assert turns.expected_wait() == pytest.approx((ahead + 1) * 0.1 / 4)
        queued_up(turns)
    noted(turns, 0.2)
    assert turns.expected_wait() == pytest.approx(4 * 0.2 / 4)


def queued_up(turns: Turns, *, is_dear: bool = False) -> QueueTurn:
    """Stand in the queue, and stay there."""
    turn = QueueTurn(is_dear=is_dear)
    turns._lane(turn).append(turn)
    return turn


def test_each_lane_has_a_prediction_of_its_own() -> None:
    """Dear tasks that wait cost the others nothing but the places that such are at; the others pass the dear ones."""
    turns = Turns(4)
    noted(turns, 0.1)
    noted(turns, 3.0, is_dear=True)
    for _ in range(2):
        placed(turns, is_dear=True)
    assert (turns.expected_wait(), turns.expected_wait(is_dear=True)) == (0, pytest.approx(1.5))
    queued_up(turns, is_dear=True)
    for _ in range(2):
        placed(turns)
    assert turns.expected_wait() == pytest.approx(0.1 / 2)
    assert turns.expected_wait(is_dear=True) == pytest.approx(2 * 1.5)


@pytest.mark.parametrize("is_dear", [False, True])
def test_who_would_wait_longer_than_allowed_is_told_at_once(is_dear: bool) -> None:
    """And leaves no trace in the queue; who finds a place free is never sent away."""
    turns = Turns(1)
    noted(turns, 1.0, is_dear=is_dear)
    turn = QueueTurn(is_dear=is_dear)
    turns.wait_for(turn, most_seconds=0)
    for _ in range(3):
        late = QueueTurn(is_dear=is_dear)
        with pytest.raises(BusyError, match="longer than is allowed") as caught:
            turns.wait_for(late, most_seconds=0.5)
        assert caught.value.reason == "queue-full"
        turns.give_back(late)
    with pytest.raises(BusyError) as caught:
        turns.wait_for(QueueTurn(is_dear=is_dear), until=time.monotonic(), most_seconds=1.5)
    assert caught.value.reason == "timeout"
