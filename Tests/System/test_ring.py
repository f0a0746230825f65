"""The hash ring: what is bound to it doesn't come and go with the queues, and a restart of the broker loses no command.

A restart can still change the ring's order (RabbitMQ 3.10 recovers bindings in parallel), and so the partition of some
customers; order per customer must not rest on it. How many moved is printed.
"""

import os
import subprocess
import time
import uuid
from contextlib import closing

import pika
import pytest

from order_stage import PARTITIONS, queue_of

KEYS = [str(uuid.UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128))) for number in range(400)]


def connect(stage):
    limit = time.monotonic() + 60
    while True:
        try:
            return pika.BlockingConnection(pika.URLParameters(stage.admin_url))
        except pika.exceptions.AMQPError:
            assert time.monotonic() < limit, "the broker doesn't come back"
            time.sleep(0.5)


def places(stage) -> dict[str, str]:
    """The queue that a command with each key comes to; every one has to come to exactly one."""
    with closing(connect(stage)) as connection:
        there = stage.queue_depths()
        channel = connection.channel()
        channel.confirm_delivery()
        for key in KEYS:
            channel.basic_publish("orders", key, key.encode(), pika.BasicProperties(delivery_mode=2), mandatory=True)
        found: dict[str, str] = {}
        queues = [queue_of(number) for number in range(PARTITIONS)] + ["orders.unrouted"]
        # A broker with much else to do takes its time over a delivery.
        limit = time.monotonic() + 60
        while len(found) < len(KEYS) and time.monotonic() < limit:
            for queue in filter(there.__contains__, queues):
                for method, _, body in channel.consume(queue, inactivity_timeout=0.5):
                    if method is None:
                        break
                    assert found.setdefault(body.decode(), queue) == queue
                    channel.basic_ack(method.delivery_tag)
                channel.cancel()
    assert len(found) == len(KEYS), f"{len(KEYS) - len(found)} commands are lost"
    return found


def moved(before: dict[str, str], after: dict[str, str]) -> int:
    return sum(before[key] != after[key] for key in KEYS)


def test_no_customer_changes_partitions_when_queues_are_deleted_and_made_anew(stage):
    first = places(stage)
    for number in (3, 0, 7):
        with closing(connect(stage)) as connection:
            connection.channel().queue_delete(queue_of(number))
        without = places(stage)
        assert {key: queue for key, queue in first.items() if queue != queue_of(number)} == {
            key: queue for key, queue in without.items() if queue != "orders.unrouted"
        }
        stage.command_line("topology", "apply")
        assert places(stage) == first


@pytest.mark.timeout(300)
def test_a_restart_of_the_broker_loses_no_command_and_the_ring_is_whole(stage, full):
    control = os.environ.get("RABBITMQCTL")
    assert control, "RABBITMQCTL is not set: it controls the broker that is restarted"
    first = last = places(stage)
    for _ in range(20 if full else 2):
        for command in ("stop_app", "start_app"):
            subprocess.run([control, command], check=True, capture_output=True, timeout=120)
        now = places(stage)
        print(f"{moved(last, now)} of {len(KEYS)} keys moved, {moved(first, now)} are away from their first place")
        assert set(now.values()) == {queue_of(number) for number in range(PARTITIONS)}
        last = now
    stage.command_line("topology", "check")
