"""What the broker refuses, returns or never takes stops what depends on it, and goes out in order once the cause is gone."""

import datetime
import os
import subprocess
import time
from collections import Counter, defaultdict
from contextlib import contextmanager
from urllib.parse import quote

import pika
import pytest

from order_bulk import BulkPublisher, Message
from order_client import create_customer, new_id, order, subscription
from order_faults import answered, channel_of, dead_letters, not_ready, rename, wait_until

FULL = "events.full"
ROOM = 2000


def orders(customer: str, subscriptions: int):
    """An order of many subscriptions with two certificate types each."""
    return order(customer, *[subscription({"ov-ssl": 1, "smime": 2}) for _ in range(subscriptions)])


def fill(channel, queue: str, room: int) -> None:
    """Makes a queue that refuses all that comes, as it has no room left."""
    channel.queue_declare(queue, durable=True, arguments={"x-max-length": room, "x-overflow": "reject-publish"})
    channel.confirm_delivery()
    try:
        for _ in range(room + 10):
            channel.basic_publish("", queue, b"waits")
    except pika.exceptions.NackError:
        return
    raise AssertionError(f"the queue {queue} takes more than {room} messages")


def sequences(listener) -> dict[str, list[int]]:
    """The sequence numbers of each customer's events, in the order in which they came first."""
    seen, result = set(), defaultdict(list)
    with listener.changed:
        events = list(listener.events)
    for event in events:
        if event.id not in seen:
            seen.add(event.id)
            result[event.data["customerId"]].append(event.data["sequence"])
    return result


def assert_in_order(listener, customers) -> None:
    came = sequences(listener)
    for customer in customers:
        assert came[customer] == list(range(1, len(came[customer]) + 1)), f"{customer}: {came[customer]}"


def waiting_events(stage) -> int:
    return stage.query("SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM quarantine)")[0][0]


def redelivered(stage) -> int:
    """How many deliveries were repeated, by the broker's statistics, which are made every five seconds."""
    time.sleep(6)
    queues = stage.servers.management("GET", f"queues/{stage.name}")
    return sum(
        queue.get("message_stats", {}).get("redeliver", 0) for queue in queues if queue["name"].startswith("orders."))


@pytest.mark.parametrize("key", ["#", "customer.updated"])
def test_seen_2_a_full_queue_pauses_publishing_and_floods_nobody(stage, customers, listener, publisher, key):
    worker = stage.workers[0]
    wait_until(lambda: waiting_events(stage) == 0, 10, "what came before is published")
    # Partitions that moved from lane to lane in the beginning may have given something back.
    before = redelivered(stage)
    commands = [rename(customer, number) for number in range(5) for customer in customers]
    with channel_of(stage.admin_url) as channel:
        fill(channel, FULL, ROOM)
        channel.queue_bind(FULL, "order.events", key)
        for command in commands:
            publisher.command(command)
        wait_until(lambda: not_ready(worker, "order.events", "customer.updated"), 10, "readiness names the exchange")
        time.sleep(10)
        assert not_ready(worker, "order.events", "customer.updated")
        with listener.changed:
            copies = Counter(event.id for event in listener.events)
        assert max(copies.values()) <= 20, f"copies of one event: {copies.most_common(3)}"
        assert dead_letters(stage) == 0

        channel.queue_purge(FULL)
        wait_until(lambda: answered(stage, commands) == len(commands), 10, "all are applied")
        wait_until(lambda: waiting_events(stage) == 0, 10, "all is published")
        wait_until(lambda: worker.get("/readyz")[0] == 200, 10, "the worker is ready again")
        assert channel.queue_declare(FULL, passive=True).method.message_count >= len(commands)
    listener.wait(
        lambda: sum(len(own) for own in sequences(listener).values()) >= len(commands), 10, "events in the healthy queue")
    for customer, own in sequences(listener).items():
        assert own == sorted(own), f"{customer}: {own}"
    assert dead_letters(stage) == 0
    assert redelivered(stage) == before


@pytest.mark.parametrize("end", ["emptied", "unlimited"])
def test_a_full_queue_of_dead_letters_pauses_the_lane_and_loses_nothing(stage, customers, publisher, end):
    worker = stage.workers[0]
    wait_until(lambda: waiting_events(stage) == 0, 10, "what came before is published")
    before = redelivered(stage)
    policy = f"policies/{stage.name}/full"
    stage.servers.management(
        "PUT", policy,
        {"pattern": r"^orders\.dead$", "apply-to": "queues", "priority": 9,
         "definition": {"max-length": 5, "overflow": "reject-publish"}})
    commands = [rename(customer, number) for number in range(5) for customer in customers]
    bad = 0
    for index, command in enumerate(commands):
        if index % 20 == 0:
            publisher.send(b"{", pika.BasicProperties(delivery_mode=2, user_id="publisher"), command.customer)
            bad += 1
        publisher.command(command)
    wait_until(lambda: not_ready(worker, "orders.dead"), 20, "readiness names the queue")
    time.sleep(5)
    assert dead_letters(stage) < bad

    if end == "unlimited":
        stage.servers.management("DELETE", policy)
        wait_until(lambda: dead_letters(stage) == bad, 10, "the bad ones, and they alone, are put aside")
    else:
        taken = 0
        with channel_of(stage.admin_url) as channel:
            limit = time.monotonic() + 30
            while taken < bad and time.monotonic() < limit:
                method, _, body = channel.basic_get("orders.dead", auto_ack=True)
                if method is None:
                    time.sleep(0.1)
                    continue
                assert body == b"{"
                taken += 1
        assert taken == bad, "the bad ones are put aside as there is room for them"
    wait_until(lambda: answered(stage, commands) == len(commands), 10, "all are applied")
    wait_until(lambda: worker.get("/readyz")[0] == 200, 10, "the worker is ready again")
    assert redelivered(stage) == before


def evaluate(expression: str) -> str:
    """What the broker makes of an Erlang expression."""
    control = os.environ.get("RABBITMQCTL")
    assert control, "RABBITMQCTL is not set: it changes the broker's limits"
    done = subprocess.run([control, "eval", expression], check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


@contextmanager
def no_memory():
    """Has the broker take no messages from anyone, for want of memory."""
    before = evaluate("vm_memory_monitor:get_vm_memory_high_watermark().")
    evaluate("vm_memory_monitor:set_vm_memory_high_watermark(0.0001).")
    try:
        yield
    finally:
        evaluate(f"vm_memory_monitor:set_vm_memory_high_watermark({before}).")


def test_a_broker_that_takes_nothing_from_anyone_is_waited_for(stage, customers, publisher):
    worker = stage.workers[0]
    worker.terminate()
    assert worker.wait(30) == 0
    commands = [rename(customer, number) for number in range(5) for customer in customers]
    for command in commands:
        publisher.command(command)
    with no_memory():
        worker = stage.start_worker()
        wait_until(lambda: not_ready(worker, "the broker takes no messages"), 20, "readiness says it")
        time.sleep(10)
        assert not_ready(worker, "the broker takes no messages")
        before = redelivered(stage)
    wait_until(lambda: answered(stage, commands) == len(commands), 10, "all are applied")
    wait_until(lambda: waiting_events(stage) == 0, 10, "all is published")
    wait_until(lambda: worker.get("/readyz")[0] == 200, 10, "the worker is ready again")
    assert dead_letters(stage) == 0
    assert redelivered(stage) == before


@contextmanager
def message_limit(size: int):
    """Has the broker take no message larger than this on channels that are opened from now on."""
    before = int(evaluate("rabbit_misc:get_env(rabbit, max_message_size, none)."))

    def limit(size: int) -> None:
        # RabbitMQ 4 keeps what it read at its start as a persistent term, and asks for that.
        evaluate(
            f"application:set_env(rabbit, max_message_size, {size}), persistent_term:put(max_message_size, {size}).")

    limit(size)
    try:
        yield
    finally:
        limit(before)


def test_seen_3_an_event_too_large_for_the_broker_holds_up_its_customer_alone(stage, listener, publisher):
    customers = [new_id() for _ in range(80)]
    large = customers[:3]
    with message_limit(20_000):
        worker = stage.start_worker().wait_until_ready()
        commands = [create_customer(customer) for customer in customers]
        for command in commands:
            publisher.command(command)
        wait_until(lambda: waiting_events(stage) == 0 and answered(stage, commands) == 80, 30, "the customers are made")
        # The publisher's own messages are smaller than what becomes of them.
        ordered = [orders(customer, 60) for customer in large]
        renamed = [rename(customer, number) for number in range(5) for customer in customers]
        for command in ordered + renamed:
            publisher.command(command, reply_to=listener.reply_queue, correlation_id=command.id)
        others = [command for command in renamed if command.customer not in large]
        wait_until(lambda: answered(stage, ordered + renamed) == 403, 20, "all are applied")
        listener.wait(
            lambda: len([event for event in listener.events if event.data.get("companyName")]) >= 80 + len(others),
            20, "the other customers' events")
        # Nor does a reply that is too large take others along.
        listener.wait(lambda: {command.id for command in renamed} <= set(listener.replies), 20, "the replies")
        assert not {command.id for command in ordered} & set(listener.replies)
        wait_until(lambda: "quarantine" in worker.get("/readyz")[1], 10, "the worker says it")
        shown = stage.command_line("outbox", expect=1)
        assert all(customer in shown.stdout for customer in large), shown.stdout
        assert "subscription.ordered" in shown.stdout and "behind another" in shown.stdout
        for customer in large:
            assert sequences(listener)[customer] == [1], "a later event passed one in quarantine"
        assert dead_letters(stage) == 0
        waiting = stage.query("SELECT count(*) FROM quarantine")[0][0]
        # An ordered, an invoice and five renamed for each.
        assert waiting == 3 * 7, stage.command_line("outbox", expect=1).stdout
        # Released too early it comes back, and keeps its place.
        stage.command_line("outbox", "release", "--customer", large[0])
        time.sleep(5)
        assert stage.query("SELECT count(*) FROM quarantine")[0][0] == waiting
        assert sequences(listener)[large[0]] == [1]

        # Another worker knows what is in quarantine.
        worker.terminate()
        assert worker.wait(30) == 0
        worker = stage.start_worker().wait_until_ready()
        again = [rename(customer, 5) for customer in customers]
        for command in again:
            publisher.command(command)
        wait_until(lambda: answered(stage, again) == len(again), 20, "all are applied")
        wait_until(lambda: stage.query("SELECT count(*) FROM outbox") == [(0,)], 20, "all is published or put away")
        assert stage.query("SELECT count(*) FROM quarantine")[0][0] == waiting + 3
        assert all(sequences(listener)[customer] == [1] for customer in large)

    # A channel that is open keeps the limit that it was opened with.
    stage.command_line("outbox", "release")
    wait_until(lambda: waiting_events(stage) == 0, 15, "what was released is published")
    stage.command_line("outbox")
    wait_until(lambda: "quarantine" not in worker.get("/readyz")[1], 10, "the worker has nothing more to say")
    listener.wait(lambda: all(len(sequences(listener)[customer]) == 9 for customer in large), 10, "all their events")
    assert_in_order(listener, customers)
    assert dead_letters(stage) == 0


def test_seen_14_a_reply_queue_that_is_full_for_good_delays_nobody(stage, customers, listener, publisher):
    full = f"replies.publisher.{new_id()[:8]}"
    with channel_of(stage.publisher_url) as channel:
        channel.queue_declare(full, durable=True, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    with channel_of(stage.admin_url) as channel:
        fill(channel, full, 1)

    def seconds(queue) -> float:
        """How long it takes until all events of 800 commands, and every other one's reply, are there."""
        commands = [rename(customer, number) for number in range(10) for customer in customers]
        began = time.monotonic()
        for index, command in enumerate(commands):
            reply_to = listener.reply_queue if index % 2 else queue
            publisher.command(command, reply_to=reply_to, correlation_id=command.id)
        wait_until(lambda: answered(stage, commands) == len(commands), 60, "all are applied")
        wait_until(lambda: waiting_events(stage) == 0, 60, "all is published")
        for command in commands[1::2]:
            listener.reply(command.id, 30)
        return time.monotonic() - began

    plain = seconds(None)
    slowed = seconds(full)
    print(f"{plain:.2f} s without the full queue, {slowed:.2f} s with it")
    assert slowed < plain * 2 + 2
    assert stage.workers[0].get("/readyz")[0] == 200
    wait_until(lambda: sum(depth for name, depth in stage.queue_depths().items()) == 0, 10, "all are acknowledged")


def test_seen_14_nobody_has_an_outcome_sent_to_the_queue_of_another(stage, customers, listener, publisher):
    foreign = f"replies.nordwind.{new_id()[:8]}"
    with channel_of(stage.admin_url) as channel:
        channel.queue_declare(foreign, durable=True)
        for queue in (foreign, f"replies.publisherx.{new_id()[:8]}", listener.event_queue, "replies.", "orders.00"):
            command = rename(customers[0], 0)
            publisher.command(command, reply_to=queue, correlation_id=command.id)

            def refused(command=command):
                return [
                    event for event in listener.find("command.rejected", customers[0])
                    if event.data["command"]["id"] == command.id
                ]

            (event, *_) = listener.wait(refused, 10, f"the refusal of {queue}")
            assert [violation["code"] for violation in event.data["violations"]] == ["reply_to_not_allowed"]
        assert channel.queue_declare(foreign, passive=True).method.message_count == 0
    assert not listener.find("customer.updated", customers[0])


def peak_memory(worker) -> int:
    """The most that the process ever had in memory at once, in MiB."""
    with open(f"/proc/{worker.process.pid}/status") as status:
        line = next(line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) // 1024


def test_seen_7_the_largest_orders_are_applied_in_little_memory(stage, publisher):
    customers = [new_id() for _ in range(50)]
    made = [create_customer(customer) for customer in customers]
    wanted = [orders(customer, 100) for _ in range(4) for customer in customers]
    last = [rename(customer, 0) for customer in customers]
    # Sent again they are answered with what is kept of them, which is as large.
    messages = ((command.message(), command.customer) for command in made + wanted + wanted + last)
    BulkPublisher(
        stage.publisher_url, (Message(key, properties, body) for (body, properties), key in messages)).run()
    killed = stage.start_worker()
    wait_until(lambda: answered(stage, wanted) >= 20, 60, "some are applied")
    peaks = [peak_memory(killed)]
    killed.kill()
    worker = stage.start_worker()
    wait_until(lambda: answered(stage, made + wanted + last) == 300, 180, "all are applied")
    wait_until(lambda: waiting_events(stage) == 0, 30, "all is published")
    peaks.append(peak_memory(worker))
    worker.terminate()
    assert worker.wait(30) == 0
    assert sum(stage.queue_depths().values()) == 0
    print(f"peaks of {peaks} MiB")
    assert stage.query("SELECT count(*) FROM inbox WHERE outcome_type = 'subscription.ordered'") == [(200,)]
    assert max(peaks) < 128


def test_seen_7_a_settlement_of_thousands_of_subscriptions_takes_little_memory(stage, publisher, full):
    count = 5000 if full else 2000
    customer = new_id()
    made = create_customer(customer)
    wanted = [
        order(customer, *[subscription({"ov-ssl": 1, "smime": 2}, "P1M", autoRenewal=True) for _ in range(100)])
        for _ in range(count // 100)
    ]
    worker = stage.start_worker()
    for command in [made, *wanted]:
        publisher.command(command)
    wait_until(lambda: answered(stage, wanted) == len(wanted), 120, "all are applied")
    until = (datetime.date.today() + datetime.timedelta(days=32)).isoformat()
    stage.command_line("clock", "run", "--until", until)
    last = rename(customer, 0)
    publisher.command(last)
    wait_until(lambda: answered(stage, [last]) == 1, 60, "a command that comes after it")
    wait_until(lambda: waiting_events(stage) == 0, 60, "all is published")
    renewed = stage.query("SELECT count(DISTINCT (subscription_id, period_index)) FROM transactions WHERE type = 'renewal'")
    assert renewed[0][0] >= count
    print(f"peak of {peak_memory(worker)} MiB")
    assert peak_memory(worker) < 128


def test_without_the_exchange_of_events_nothing_is_given_back(stage, customers, publisher):
    worker = stage.workers[0]
    wait_until(lambda: waiting_events(stage) == 0, 10, "what came before is published")
    before = redelivered(stage)
    with channel_of(stage.admin_url) as channel:
        # The bindings go with the exchange: what comes once it is back and before they are finds its way by this.
        channel.exchange_declare("unbound", "fanout", durable=True)
        channel.queue_declare("events.all", durable=True)
        channel.queue_bind("events.all", "unbound")
        stage.servers.management(
            "PUT", f"policies/{stage.name}/{quote('unbound')}",
            {"pattern": r"^order\.events$", "apply-to": "exchanges", "definition": {"alternate-exchange": "unbound"}})
        channel.exchange_delete("order.events")
        commands = [rename(customer, number) for number in range(5) for customer in customers]
        for command in commands:
            publisher.command(command)
        wait_until(lambda: not_ready(worker, "order.events"), 20, "readiness names the exchange")
        time.sleep(10)
        assert dead_letters(stage) == 0

        stage.command_line("topology", "apply")
        wait_until(lambda: answered(stage, commands) == len(commands), 10, "all are applied")
        wait_until(lambda: waiting_events(stage) == 0, 10, "all is published")
        wait_until(lambda: worker.get("/readyz")[0] == 200, 10, "the worker is ready again")
        came = set()
        for method, properties, _ in channel.consume("events.all", auto_ack=True, inactivity_timeout=2):
            if method is None:
                break
            came.add(properties.message_id)
        channel.cancel()
        assert len(came) == len(commands)
    assert dead_letters(stage) == 0
    assert redelivered(stage) == before
