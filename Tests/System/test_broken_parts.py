"""One broken part stops only itself: what depends on it waits and says so, and goes on when the cause is gone."""

import json
import os
import signal
import subprocess
import time
from contextlib import closing

import pika
import pytest

from order_client import Publisher, create_customer, new_id, order, subscription
from order_faults import answered, channel_of, dead_letters, not_ready, partitions_of, rename, wait_until
from order_stage import PARTITIONS, queue_of


def test_seen_1_a_deleted_queue_stops_its_partition_alone(stage, customers, publisher):
    worker = stage.workers[0]
    partitions = partitions_of(stage)
    with channel_of(stage.admin_url) as channel:
        channel.queue_delete(queue_of(5))
    wait_until(lambda: "orders.05" in worker.get("/readyz")[1], 20, "readiness names the partition")
    commands = [rename(customer, number) for number in range(30) for customer in customers]
    healthy = [command for command in commands if partitions[command.customer] != 5]
    for command in commands:
        publisher.command(command)
    wait_until(lambda: answered(stage, healthy) == len(healthy), 20, "the healthy partitions go on")
    time.sleep(5)
    assert dead_letters(stage) == 0
    assert answered(stage, commands) == len(healthy)

    stage.command_line("topology", "apply")
    wait_until(lambda: answered(stage, commands) == len(commands), 10, "the restored partition catches up")
    wait_until(lambda: worker.get("/readyz")[0] == 200, 10, "the worker is ready again")
    assert dead_letters(stage) == 0
    assert stage.query("SELECT count(*) FROM inbox WHERE outcome_type = 'command.rejected'") == [(0,)]


def test_seen_4_rights_that_are_missing_for_a_while_lose_no_command(stage, customers, publisher):
    worker = stage.workers[0]
    role = stage.worker_role
    with closing(stage.servers.database(stage.database_url)) as database:
        cursor = database.cursor()
        cursor.execute(f'REVOKE INSERT ON inbox FROM "{role}"')
        commands = [order(customer, subscription({"ov-ssl": 1})) for customer in customers]
        for command in commands:
            publisher.command(command)
        wait_until(lambda: not_ready(worker, "permission denied"), 20, "readiness names the cause")
        time.sleep(5)
        assert dead_letters(stage) == 0
        cursor.execute(f'GRANT INSERT ON inbox TO "{role}"')
    wait_until(lambda: answered(stage, commands) == len(commands), 15, "all are applied")
    assert dead_letters(stage) == 0
    assert stage.query("SELECT count(*) FROM inbox WHERE outcome_type = 'command.rejected'") == [(0,)]
    wait_until(lambda: worker.get("/readyz")[0] == 200, 10, "the worker is ready again")


def test_seen_8_without_the_dead_letters_queue_nothing_good_is_dead_lettered(stage, customers, publisher):
    worker = stage.workers[0]
    with channel_of(stage.admin_url) as channel:
        channel.queue_delete("orders.dead")
        commands = [rename(customer, number) for number in range(5) for customer in customers]
        for command in commands[:200]:
            publisher.command(command)
        publisher.send(b"{", pika.BasicProperties(delivery_mode=2, user_id="publisher"), customers[0])
        for command in commands[200:]:
            publisher.command(command)
    wait_until(lambda: not_ready(worker, "orders.dead"), 20, "readiness names the queue")
    time.sleep(5)
    stage.command_line("topology", "apply")
    wait_until(lambda: answered(stage, commands) == len(commands), 15, "all are applied")
    wait_until(lambda: dead_letters(stage) == 1, 10, "the bad one, and it alone, is put aside")


@pytest.mark.timeout(900)
def test_seen_12_order_holds_while_partitions_are_added_and_the_broker_restarts(stage, customers, listener):
    control = os.environ.get("RABBITMQCTL")
    assert control, "RABBITMQCTL is not set: it controls the broker that is restarted"
    commands = []
    with Publisher(stage.publisher_url) as publisher:
        for number in range(40):
            if number == 10:
                stage.command_line("topology", "apply", "--partitions", "12")
            if number in (20, 30):
                for command in ("stop_app", "start_app"):
                    subprocess.run([control, command], check=True, capture_output=True, timeout=300)
            for customer in customers:
                commands.append(rename(customer, number))
                publisher.command(commands[-1])
    wait_until(lambda: answered(stage, commands) == len(commands), 60, "all are applied")
    assert dead_letters(stage) == 0
    names = {}
    for customer, data in stage.query(
        "SELECT customer_id::text, convert_from(outcome_data, 'UTF8') FROM inbox WHERE type = 'customer.update'"
        " ORDER BY received_at, (convert_from(outcome_data, 'UTF8')::jsonb ->> 'sequence')::bigint"
    ):
        event = json.loads(data)
        names.setdefault(customer, []).append((event["sequence"], event["companyName"]))
    for customer in customers:
        applied = [name for _, name in sorted(names[customer])]
        assert applied == [f"Harbor {number}, Inc." for number in range(40)], "commands were applied out of order"


def test_seen_13_a_worker_told_another_number_of_partitions_serves_none(stage, publisher):
    worker = stage.start_worker(PARTITIONS="4")
    wait_until(lambda: not_ready(worker, "4", "8"), 20, "readiness names both numbers")
    assert worker.partitions() == 0
    commands = [create_customer(new_id()) for _ in range(20)]
    for command in commands:
        publisher.command(command)
    time.sleep(2)
    assert answered(stage, commands) == 0
    stage.start_worker().wait_until_ready()
    wait_until(lambda: answered(stage, commands) == len(commands), 20, "a worker without the setting serves all")


def test_seen_9_a_frozen_worker_loses_its_partitions_to_another(stage, customers, publisher):
    frozen = stage.workers[0]
    other = stage.start_worker().wait_until_ready()
    wait_until(lambda: other.partitions() == PARTITIONS // 2, 20, "both have half of the partitions")
    os.kill(frozen.process.pid, signal.SIGSTOP)
    try:
        commands = [rename(customer, 0) for customer in customers]
        for command in commands:
            publisher.command(command)
        wait_until(lambda: answered(stage, commands) == len(commands), 90, "the other takes over")
        assert other.partitions() == PARTITIONS
    finally:
        os.kill(frozen.process.pid, signal.SIGCONT)
    wait_until(lambda: frozen.partitions() == PARTITIONS // 2, 30, "continued, it has its half again")
    assert dead_letters(stage) == 0
    stage.command_line("audit")
