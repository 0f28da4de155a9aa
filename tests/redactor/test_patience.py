"""What a job's time limit counts."""

from __future__ import annotations

from appliance.redactor.patience import MOST_BEATS, Patience


class Machine:
    """A process and a clock moved by hand."""

    def __init__(self, busy: int = 1) -> None:
        self.used = self.now = 0.0
        self.patience = Patience(10.0, lambda: self.used, lambda: busy, lambda: self.now)

    def go(self, seconds: float, share: float) -> bool:
        """Let time pass of which the process gets a share; whether patience is over."""
        for _ in range(round(seconds)):
            self.now += 1
            self.used += share
            if self.patience.is_over():
                return True
        return False


def test_a_loaded_machine_costs_no_picture() -> None:
    machine = Machine()
    assert not machine.go(90, share=0.1)
    assert machine.go(20, share=0.1)


def test_neighbours_work_is_not_counted() -> None:
    assert not Machine(busy=3).go(29, share=1.0)
    assert Machine(busy=3).go(31, share=1.0)


def test_a_process_that_does_nothing_hangs() -> None:
    assert not Machine().go(10, share=0.0)
    assert Machine().go(11, share=0.0)


def test_a_word_buys_time_again() -> None:
    machine = Machine()
    for done in range(50):
        assert not machine.go(9, share=1.0)
        machine.patience.hear(done)


def test_words_without_progress_do_so_not_for_ever() -> None:
    machine = Machine()
    while not machine.go(9, share=1.0):
        machine.patience.hear(0)
    assert 10 * MOST_BEATS < machine.now < 10 * MOST_BEATS + 9
