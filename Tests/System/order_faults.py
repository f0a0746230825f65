"""What tests of broken parts watch and do: conditions to wait for, a channel of the administrator's, plain commands."""

import time
from contextlib import closing, contextmanager

import pika

from order_client import Command


@contextmanager
def channel_of(url: str):
    with closing(pika.BlockingConnection(pika.URLParameters(url))) as connection:
        yield connection.channel()


def wait_until(condition, seconds: float, what: str):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"not within {seconds} s: {what}"
        time.sleep(0.1)


def rename(customer: str, number: int) -> Command:
    return Command("customer.update", {"customerId": customer, "companyName": f"Harbor {number}, Inc."})


def partitions_of(stage) -> dict[str, int]:
    return dict(
        stage.query("SELECT DISTINCT ON (customer_id) customer_id::text, partition FROM inbox ORDER BY 1, received_at DESC")
    )


def dead_letters(stage) -> int:
    return stage.queue_depths()["orders.dead"]


def answered(stage, commands) -> int:
    return stage.query("SELECT count(*) FROM inbox WHERE id = ANY (%s)", [command.id for command in commands])[0][0]


def not_ready(worker, *words: str) -> bool:
    status, text = worker.get("/readyz")
    return status == 503 and all(word in text for word in words)
