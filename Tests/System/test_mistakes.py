"""Mistakes in the set-up that a worker waits out: it says in words what is missing, and says it once."""

import json
import time
from collections import Counter

import pytest

from order_client import Listener, Publisher, create_customer, new_id
from order_faults import not_ready, wait_until
from order_stage import Stage, with_path


@pytest.fixture
def stage(servers):
    """A stage whose database is empty, and whose virtual host too."""
    stage = Stage(servers)
    try:
        yield stage
    finally:
        stage.close()


def warnings(worker) -> Counter:
    lines = [json.loads(line) for line in worker.log.read_text().splitlines()]
    return Counter(line.get("lane", "") + " " + line["message"] + ": " + line.get("error", "") for line in lines if line["level"] == "warning")


def test_a_missing_database_is_named_by_a_worker_that_waits_for_it(stage):
    worker = stage.start_worker(DATABASE_URL=with_path(stage.worker_database_url, "no_such_database"))
    wait_until(lambda: not_ready(worker, "no_such_database", "Create the database"), 60, "readiness says what to do")
    assert worker.running


def test_a_missing_schema_is_named_once_also_by_the_clock_and_the_worker_serves_when_it_is_there(stage):
    began = time.monotonic()
    worker = stage.start_worker()
    wait_until(lambda: not_ready(worker, "lacks", "migrate command"), 60, "readiness says what to do")
    wait_until(lambda: any("the clock's election" in line for line in warnings(worker)), 60, "the clock fails too")
    stage.set_up()
    worker.wait_until_ready(60)
    with Listener(stage.consumer_url) as listener, Publisher(stage.publisher_url) as publisher:
        publisher.command(create_customer(customer := new_id()))
        assert listener.event("customer.created", customer)
    # What lasts is said again after a while.
    most = 1 + (time.monotonic() - began) // 30
    assert {line: count for line, count in warnings(worker).items() if count > most} == {}
