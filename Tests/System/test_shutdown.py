"""SIGTERM drains within the limit and loses nothing; a second one ends the worker at once, and loses nothing either."""

import signal
import time

from psycopg2 import sql

from order_load import Load

DRAIN_LIMIT = 30


def test_sigterm_drains_and_leaves_the_rest_to_others(stage, listener, seed):
    load = Load(stage, listener, seed, commands=1200)
    worker = stage.start_worker().wait_until_ready()
    load.start(rate=300)
    time.sleep(1.5)
    asked = time.monotonic()
    worker.terminate()
    assert worker.wait(DRAIN_LIMIT) == 0, worker.tail()
    print(f"drained in {time.monotonic() - asked:.1f} s")
    # What was in flight is acknowledged or back in its queue, and what it committed is published.
    assert stage.query("SELECT count(*) FROM outbox") == [(0,)]
    load.finish()
    assert load.outcomes_missing(), "the load ended before the worker: nothing was left to others"
    stage.start_worker()
    load.verify()


def test_an_idle_worker_stops_at_once(stage):
    worker = stage.start_worker().wait_until_ready()
    asked = time.monotonic()
    worker.terminate()
    assert worker.wait(DRAIN_LIMIT) == 0, worker.tail()
    assert time.monotonic() - asked < 3


def test_a_second_sigterm_ends_a_worker_that_cannot_drain(stage, listener, seed):
    load = Load(stage, listener, seed, commands=600)
    worker = stage.start_worker().wait_until_ready()
    load.start(rate=300)
    time.sleep(1)
    # With every table locked no batch can finish.
    blocker = stage.servers.database(stage.database_url)
    blocker.autocommit = False
    try:
        with blocker.cursor() as cursor:
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
            tables = [sql.Identifier(name) for (name,) in cursor.fetchall()]
            cursor.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.SQL(", ").join(tables)))
        time.sleep(0.5)
        worker.terminate()
        time.sleep(1.5)
        assert worker.running, f"the worker ended while a batch was still open:\n{worker.tail()}"
        asked = time.monotonic()
        worker.terminate()
        worker.wait(5)
        assert time.monotonic() - asked < 1.5
        assert worker.process.returncode != -signal.SIGKILL
    finally:
        blocker.rollback()
        blocker.close()
    load.finish()
    stage.start_worker()
    load.verify()


def test_the_drain_is_bounded_when_the_database_does_not_answer(stage, listener, seed):
    load = Load(stage, listener, seed, commands=300)
    worker = stage.start_worker(DRAIN_TIMEOUT="3s").wait_until_ready()
    load.start(rate=300)
    time.sleep(0.5)
    blocker = stage.servers.database(stage.database_url)
    blocker.autocommit = False
    try:
        with blocker.cursor() as cursor:
            cursor.execute("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE")
        time.sleep(0.5)
        worker.terminate()
        worker.wait(8)
    finally:
        blocker.rollback()
        blocker.close()
    load.finish()
    stage.start_worker()
    load.verify()
