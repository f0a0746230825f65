"""Two workers share the partitions evenly and hand them over; order per customer is kept throughout.

How long that takes is printed: on a machine of its own less than five seconds.
"""

import time

import pytest

from order_load import Load
from order_stage import PARTITIONS

HAND_OVER = 60.0


def wait_for_shares(workers, shares, since, what):
    """Waits until the workers own these numbers of partitions; gives the seconds since `since`."""
    while True:
        owned = sorted(worker.partitions() for worker in workers)
        elapsed = time.monotonic() - since
        if owned == sorted(shares):
            print(f"{what}: {elapsed:.1f} s")
            return elapsed
        assert elapsed < HAND_OVER, f"{what}: {owned} instead of {shares} partitions after {elapsed:.1f} s"
        time.sleep(0.05)


@pytest.mark.parametrize("end", ["kill -9", "SIGTERM"])
def test_partitions_are_shared_evenly_and_order_is_kept(end, stage, listener, seed):
    load = Load(stage, listener, seed, commands=2000)
    first = stage.start_worker().wait_until_ready()
    wait_for_shares([first], [PARTITIONS], time.monotonic(), "the first worker takes all")
    load.start(rate=150)

    second = stage.start_worker()
    half = PARTITIONS // 2
    wait_for_shares([first, second], [half, PARTITIONS - half], second.started, "the second worker takes its half")
    time.sleep(1)
    assert sorted([first.partitions(), second.partitions()]) == [half, PARTITIONS - half], "the shares don't last"

    ended = time.monotonic()
    if end == "SIGTERM":
        first.terminate()
    else:
        first.kill()
    wait_for_shares([second], [PARTITIONS], ended, f"the second worker takes over after {end}")
    if end == "SIGTERM":
        assert first.wait(30) == 0

    third = stage.start_worker()
    wait_for_shares([second, third], [half, PARTITIONS - half], third.started, "a third worker takes its half")
    load.finish()
    load.verify()
    assert len(listener.replies) == load.commands


def test_partitions_that_do_not_divide_evenly_differ_by_one(stage):
    workers = [stage.start_worker() for _ in range(3)]
    for worker in workers:
        worker.wait_until_ready()
    wait_for_shares(
        workers, [2, 3, 3], max(worker.started for worker in workers), "three workers share eight partitions"
    )
