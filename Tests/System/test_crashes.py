"""Whatever dies, every command has exactly one outcome and the books add up."""

import os
import random
import subprocess
import time

import pytest

from order_load import Load


@pytest.mark.timeout(1800)
def test_a_worker_killed_at_random_moments_loses_and_doubles_nothing(stage, listener, seed, full):
    kills, commands = (50, 5000) if full else (8, 1500)
    chance = random.Random(seed)
    load = Load(stage, listener, seed, commands)
    moments = [chance.uniform(0.2, 2.0) for _ in range(kills)]
    worker = stage.start_worker().wait_until_ready()
    # The load lasts as long as the killing, so that hardly any kill finds the worker idle.
    load.start(rate=commands / (sum(moments) + 0.3 * kills))
    under_load = 0
    for moment in moments:
        # Counted from the start of the process: it dies while starting, taking partitions, catching up, and at work.
        time.sleep(max(0.0, worker.started + moment - time.monotonic()))
        under_load += bool(load.publishing or load.outcomes_missing())
        worker.kill()
        worker = stage.start_worker()
    load.finish()
    load.verify(seconds=300 if full else 120)
    print(f"{kills} kills, {under_load} of them under load")
    assert under_load >= kills * 0.8


@pytest.mark.timeout(600)
def test_one_of_two_workers_is_killed_again_and_again(stage, listener, seed, full):
    kills, commands = (20, 4000) if full else (4, 1000)
    chance = random.Random(seed)
    load = Load(stage, listener, seed, commands)
    workers = [stage.start_worker().wait_until_ready(), stage.start_worker().wait_until_ready()]
    load.start(rate=commands / (kills * 2.0))
    for _ in range(kills):
        time.sleep(chance.uniform(0.5, 3.0))
        victim = chance.randrange(2)
        workers[victim].kill()
        workers[victim] = stage.start_worker()
    load.finish()
    load.verify()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_restart_of_postgresql_loses_nothing(mode, stage, listener, seed):
    control = os.environ.get("PG_CTL")
    assert control, "PG_CTL is not set: a command that restarts the private PostgreSQL (deploy/local/env prints it)"
    load = Load(stage, listener, seed, commands=1500)
    worker = stage.start_worker().wait_until_ready()
    load.start(rate=150)
    for _ in range(2):
        time.sleep(2.5)
        done = subprocess.run(
            [control, "restart", "-w", "-m", mode], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
    load.finish()
    load.verify()
    assert worker.running, "the worker has to survive the restart"
    worker.wait_until_ready(10)


def test_connections_that_the_broker_closes_lose_nothing(stage, listener, seed):
    load = Load(stage, listener, seed, commands=1500)
    worker = stage.start_worker().wait_until_ready()
    load.start(rate=150)
    closed = 0
    for _ in range(4):
        time.sleep(2)
        closed += stage.close_connections()
    assert closed > 4, "the broker listed too few connections to close"
    load.finish()
    load.verify()
    assert worker.running, "the worker has to survive the loss of its connections"
    worker.wait_until_ready(10)
