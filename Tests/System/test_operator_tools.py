"""listen, deadletters and outbox: what an operator sees and does at night loses nothing, whatever happens meanwhile."""

import json
import os
import pty
import signal
import subprocess
import time
import uuid
from contextlib import closing, contextmanager

import pika
import pytest

from order_client import Command, Publisher, create_customer, new_id, order, subscription
from order_stage import PARTITIONS, queue_of

DELIVERY_LIMIT = 100


@contextmanager
def channel_of(url):
    with closing(pika.BlockingConnection(pika.URLParameters(url))) as connection:
        yield connection.channel()


def large(name: str = "Harbor", **data) -> Command:
    """A command of more than 1024 bytes, which a worker with that limit can't read."""
    command = create_customer(new_id(), name)
    command.data["address"].update(line1="1" * 200, line2="2" * 200, line3="3" * 200, city="c" * 100)
    command.data["companyName"] = name + "x" * (190 - len(name))
    command.data.update(data)
    return command


@contextmanager
def shortsighted_worker(stage):
    """A worker that dead-letters what has more than 1024 bytes."""
    worker = stage.start_worker(MESSAGE_SIZE_LIMIT="1024").wait_until_ready()
    yield worker
    worker.terminate()
    assert worker.wait(30) == 0


def wait_for_dead_letters(stage, count: int, seconds: float = 30):
    limit = time.monotonic() + seconds
    while (depth := stage.queue_depths()["orders.dead"]) != count:
        assert time.monotonic() < limit, f"{depth} dead letters, not {count}"
        time.sleep(0.05)


def listed(stage) -> list[dict]:
    return [json.loads(line) for line in stage.command_line("deadletters", "list", "--json").stdout.splitlines()]


def put(stage, *bodies: bytes):
    """Puts messages straight into orders.dead, which only the administrator can."""
    with channel_of(stage.admin_url) as channel:
        channel.confirm_delivery()
        for number, body in enumerate(bodies):
            properties = pika.BasicProperties(delivery_mode=2, message_id=f"id-{number}", type="x.y")
            channel.basic_publish("", "orders.dead", body, properties)


def exhaust_deliveries(stage, count: int = 1):
    """Has the broker give up messages that no worker could take: as often delivered as the queues allow."""
    with channel_of(stage.admin_url) as channel:
        left = count
        for number in range(PARTITIONS):
            deliveries = channel.consume(queue_of(number), inactivity_timeout=0.5)
            for method, _, _ in deliveries:
                if method is None:
                    break
                channel.basic_nack(method.delivery_tag, requeue=True)
            channel.cancel()
            left = count - stage.queue_depths()["orders.dead"]
            if left <= 0:
                break
    wait_for_dead_letters(stage, count)


def rejections(listener, command: Command) -> list:
    return [event for event in list(listener.events) if event.data.get("command", {}).get("id") == command.id]


def partner_of(stage, customer: str) -> list:
    return [row[0] for row in stage.query("SELECT partner_id FROM customers WHERE customer_id = %s", customer)]


# ---- deadletters: looking


def test_looking_at_dead_letters_changes_neither_their_number_nor_their_order(stage):
    bodies = [b"%d" % number for number in range(150)]
    put(stage, *bodies)
    first = listed(stage)
    assert [letter["id"] for letter in first] == [f"id-{number}" for number in range(150)]
    assert [letter["place"] for letter in first] == list(range(1, 151))
    assert "id-0" in stage.command_line("deadletters", "list").stdout
    assert stage.command_line("deadletters", "show", "1", "--body").stdout == "0"
    assert stage.command_line("deadletters", "show", "--id", "id-77", "--body").stdout == "77"
    stage.command_line("deadletters", "show", "151", expect=1)
    assert listed(stage) == first


def test_a_tool_that_is_killed_while_it_holds_the_dead_letters_leaves_them_in_their_order(stage):
    put(stage, *[b"%d" % number for number in range(3000)])
    before = listed(stage)
    # Nobody reads its output, so that it is stuck with all of them in hand.
    tool = subprocess.Popen(
        [str(stage.servers.binary), "deadletters", "list"],
        env={**os.environ, **stage.environment()},
        stdout=subprocess.PIPE,
    )
    try:
        assert tool.stdout.read(1)
        time.sleep(1)
        done = stage.command_line("deadletters", "list", expect=69)
        assert "else" in done.stderr
    finally:
        tool.kill()
        tool.wait(10)
        tool.stdout.close()
    time.sleep(1)
    assert listed(stage) == before


def test_show_tells_why_and_shows_the_body_without_obeying_it(stage):
    command = large("Harbor\u202e \u009b31m")
    with shortsighted_worker(stage), Publisher(stage.publisher_url) as publisher:
        publisher.command(command)
        wait_for_dead_letters(stage, 1)
    (letter,) = listed(stage)
    assert letter["id"] == command.id
    assert letter["type"] == "customer.create"
    assert letter["by"] == "worker"
    assert letter["user"] == "publisher"
    assert letter["routingKey"] == command.customer
    shown = stage.command_line("deadletters", "show", "1").stdout
    assert f"{letter['reason']}: " in shown
    assert "violation" in shown
    assert '"companyName"' in shown
    assert not any(character in shown for character in "\u202e\u009b\x1b")


def test_a_body_that_is_not_text_is_escaped_for_people_and_exact_for_files(stage):
    body = b"\xff\x1b[31m\x00red\n"
    put(stage, body)
    assert "\\xff\\x1b[31m\\x00red" in stage.command_line("deadletters", "show", "1").stdout
    done = subprocess.run(
        [str(stage.servers.binary), "deadletters", "show", "1", "--body"],
        env={**os.environ, **stage.environment()},
        capture_output=True,
        timeout=60,
    )
    assert done.stdout == body


# ---- deadletters: sending again


def test_what_a_worker_put_aside_is_replayed_for_its_own_publisher(stage, listener):
    commands = [large(f"Harbor {number} ") for number in range(20)]
    with shortsighted_worker(stage), Publisher(stage.publisher_url) as publisher:
        for command in commands:
            publisher.command(command, reply_to=listener.reply_queue, correlation_id=command.id)
        wait_for_dead_letters(stage, 20)
    one = commands[7]
    assert "1 sent again" in stage.command_line("deadletters", "replay", "--id", one.id).stdout
    wait_for_dead_letters(stage, 19)
    stage.command_line("deadletters", "replay", "--id", one.id, expect=1)
    stage.command_line("deadletters", "replay", "--reason", "nonsense", expect=1)
    reason = listed(stage)[0]["reason"]
    assert "19 sent again, 0 kept." in stage.command_line("deadletters", "replay", "--reason", reason).stdout
    wait_for_dead_letters(stage, 0)
    stage.start_worker().wait_until_ready()
    for command in commands:
        # The refusal came first, when it couldn't be read.
        listener.wait(
            lambda: [e for e in listener.replies[command.id] if e.type == "customer.created"], 30, command.id
        )
        assert partner_of(stage, command.customer) == ["acme"]
    assert "0 sent again, 0 kept." in stage.command_line("deadletters", "replay", "--all").stdout


def test_what_the_broker_gave_up_is_listed_and_replayed_for_its_own_publisher(stage, listener):
    command = create_customer(new_id())
    with Publisher(stage.publisher_url) as publisher:
        publisher.command(command, mode="cloudEvents:", headers={"own": "kept"})
    exhaust_deliveries(stage)
    (letter,) = listed(stage)
    assert letter["reason"] == "delivery_limit"
    assert letter["by"] == "broker"
    assert letter["id"] == command.id
    assert letter["routingKey"] == command.customer
    assert letter["user"] == "publisher"
    assert letter["deadLetteredAt"]
    stage.command_line("deadletters", "replay", "--reason", "delivery_limit")
    stage.start_worker().wait_until_ready()
    assert listener.event("customer.created", command.customer)
    assert partner_of(stage, command.customer) == ["acme"]
    wait_for_dead_letters(stage, 0)


def test_what_fails_again_comes_back_once(stage):
    broken = create_customer(new_id())
    broken.data["companyname"] = "misspelt"
    stage.start_worker().wait_until_ready()
    with Publisher(stage.publisher_url) as publisher:
        publisher.command(broken)
        wait_for_dead_letters(stage, 1)
    before = listed(stage)
    for _ in range(3):
        assert "1 sent again" in stage.command_line("deadletters", "replay", "--all").stdout
        wait_for_dead_letters(stage, 1)
    after = listed(stage)
    # Put aside anew, and otherwise the same.
    assert after[0].pop("deadLetteredAt") > before[0].pop("deadLetteredAt")
    assert after == before
    assert before[0]["user"] == "publisher"


def test_replaying_gives_nobody_another_ones_rights(stage, listener):
    forged = {
        "x-order-worker-user": "publisher",
        "x-order-worker-reason": "too_large",
        "x-order-worker-routing-key": new_id(),
        "x-order-worker-attempts": 1,
    }
    anonymous, stranger, given_up, given_up_anonymous = (large(name) for name in ("A", "B", "C", "D"))
    other = next(name for name in stage.catalog.partners if name != "acme")
    other_url = stage.publisher_for(other)
    other_user = stage.catalog.partners[other]["publishers"][0]
    with shortsighted_worker(stage), Publisher(other_url) as publisher:
        publisher.command(anonymous, user=None, headers=forged)
        publisher.command(stranger, user=other_user, headers=forged)
        wait_for_dead_letters(stage, 2)
    with Publisher(other_url) as publisher:
        publisher.command(given_up, user=other_user, headers=forged)
        publisher.command(given_up_anonymous, user=None, headers=forged)
    exhaust_deliveries(stage, 4)
    letters = {letter["id"]: letter for letter in listed(stage)}
    assert letters[anonymous.id].get("user") is None
    assert letters[stranger.id]["user"] == other_user
    assert letters[given_up.id]["user"] == other_user
    assert letters[given_up.id]["reason"] == "delivery_limit"
    assert letters[given_up.id]["routingKey"] == given_up.customer
    assert letters[given_up_anonymous.id].get("user") is None
    stage.command_line("deadletters", "replay", "--all")
    stage.start_worker().wait_until_ready()
    for command in (stranger, given_up):
        assert listener.event("customer.created", command.customer)
        assert partner_of(stage, command.customer) == [other]
    for command in (anonymous, given_up_anonymous):
        # What was too large was refused for that first.
        listener.wait(
            lambda: [e for e in rejections(listener, command) if e.data["code"] == "publisher_unknown"],
            30,
            lambda: f"publisher_unknown, only {rejections(listener, command)}",
        )
        assert partner_of(stage, command.customer) == []
    assert set(partner for (partner,) in stage.query("SELECT partner_id FROM customers")) == {other}


def test_what_nobody_knows_the_origin_of_is_kept(stage):
    put(stage, b"{}")
    done = stage.command_line("deadletters", "replay", "--all", expect=1)
    assert "0 sent again, 1 kept." in done.stdout
    wait_for_dead_letters(stage, 1)


def test_what_the_broker_does_not_take_stays_a_dead_letter(stage):
    commands = [large() for _ in range(5)]
    with shortsighted_worker(stage), Publisher(stage.publisher_url) as publisher:
        for command in commands:
            publisher.command(command)
        wait_for_dead_letters(stage, 5)
    before = listed(stage)
    with channel_of(stage.admin_url) as channel:
        for number in range(PARTITIONS):
            channel.exchange_unbind(queue_of(number), "orders", "1")
    done = stage.command_line("deadletters", "replay", "--all", expect=2)
    assert "doctor" in done.stderr
    assert listed(stage) == before
    stage.command_line("topology", "apply")
    assert "5 sent again, 0 kept." in stage.command_line("deadletters", "replay", "--all").stdout


def test_a_replay_that_is_killed_loses_nothing_and_doubles_nothing(stage, listener, full):
    commands = [large(f"{number} ") for number in range(1000)]
    with shortsighted_worker(stage), Publisher(stage.publisher_url) as publisher:
        for command in commands:
            publisher.command(command)
        wait_for_dead_letters(stage, len(commands), seconds=120)
    replayed = False
    for attempt in range(20 if full else 5):
        tool = subprocess.Popen(
            [str(stage.servers.binary), "deadletters", "replay", "--all"],
            env={**os.environ, **stage.environment()},
            stdout=subprocess.PIPE,
        )
        # Killed somewhere between its first line and its end, or before it.
        if attempt % 2 == 0:
            replayed = bool(tool.stdout.readline()) or replayed
        else:
            time.sleep(0.02 * attempt)
        tool.kill()
        tool.wait(10)
        tool.stdout.close()
        time.sleep(0.5)
    assert replayed
    stage.command_line("deadletters", "replay", "--all")
    wait_for_dead_letters(stage, 0)
    stage.start_worker().wait_until_ready()
    customers = {command.customer for command in commands}
    listener.wait(
        lambda: customers <= {e.data["customerId"] for e in listener.events if e.type == "customer.created"},
        90,
        lambda: f"{len(customers)} customers",
    )
    created = {event.id for event in listener.events if event.type == "customer.created"}
    assert len(created) == len(commands)
    assert stage.query("SELECT count(*), count(DISTINCT id) FROM inbox") == [(len(commands), len(commands))]


# ---- deadletters: throwing away


def test_discarding_asks_first_and_takes_only_what_was_named(stage):
    put(stage, b"zero", b"one", b"two")
    done = stage.command_line("deadletters", "discard", "--all", expect=64)
    assert "--yes" in done.stderr
    stage.command_line("deadletters", "discard", "--yes", expect=64)
    stage.command_line("deadletters", "discard", "--yes", "--id", "nonsense", expect=1)
    assert len(listed(stage)) == 3
    stage.command_line("deadletters", "discard", "--yes", "--id", "id-1")
    assert [letter["id"] for letter in listed(stage)] == ["id-0", "id-2"]
    assert on_a_terminal(stage, "n", "deadletters", "discard", "--all") == 1
    assert [letter["id"] for letter in listed(stage)] == ["id-0", "id-2"]
    assert on_a_terminal(stage, "y", "deadletters", "discard", "--all") == 0
    assert listed(stage) == []


def on_a_terminal(stage, answer: str, *arguments: str) -> int:
    """Runs the command line on a terminal, answers its question, and gives its exit status."""
    ours, theirs = pty.openpty()
    try:
        tool = subprocess.Popen(
            [str(stage.servers.binary), *arguments],
            env={**os.environ, **stage.environment()},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        shown = b""
        while b"[y/N]" not in shown:
            shown += os.read(ours, 4096)
        os.write(ours, answer.encode() + b"\n")
        return tool.wait(30)
    finally:
        os.close(theirs)
        os.close(ours)


def test_a_message_without_an_id_is_found_by_one_of_its_contents(stage):
    with channel_of(stage.admin_url) as channel:
        channel.confirm_delivery()
        for body in (b"first", b"second"):
            channel.basic_publish("", "orders.dead", body)
    first, second = (letter["id"] for letter in listed(stage))
    assert first != second
    assert stage.command_line("deadletters", "show", "--id", second, "--body").stdout == "second"
    stage.command_line("deadletters", "discard", "--yes", "--id", first)
    assert [letter["id"] for letter in listed(stage)] == [second]


# ---- listen


class Listening:
    """An `order-worker listen` with a consumer's rights, once it listens."""

    def __init__(self, stage, *arguments: str):
        self.stage = stage
        self.process = subprocess.Popen(
            [str(stage.servers.binary), "listen", *arguments],
            env={**os.environ, **stage.environment(AMQP_URL=stage.consumer_url)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        line = self.process.stderr.readline()
        assert "listening" in line, line

    def lines(self, count: int) -> list[str]:
        return [self.process.stdout.readline().rstrip("\n") for _ in range(count)]

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(15)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=10)


def test_listen_prints_events_by_type_and_customer_until_it_is_interrupted(stage, publisher):
    stage.start_worker().wait_until_ready()
    mine, other = create_customer(new_id(), "Mine\u202e Ltd"), create_customer(new_id())
    with (
        Listening(stage) as everything,
        Listening(stage, "--type", "invoice.updated", "--type", "subscription.ordered") as orders,
        Listening(stage, "--customer", mine.customer.upper(), "--json", "--count", "3") as own,
    ):
        for command in (other, mine, order(mine.customer, subscription({"ov-ssl": 25}))):
            publisher.command(command)
        events = [json.loads(line) for line in own.lines(3)]
        assert own.process.wait(15) == 0
        assert [event["type"] for event in events] == ["customer.created", "subscription.ordered", "invoice.updated"]
        for number, event in enumerate(events):
            assert event["specversion"] == "1.0"
            assert event["subject"] == event["data"]["customerId"] == mine.customer
            assert event["data"]["sequence"] == number + 1
            assert event["source"] and event["time"] and uuid.UUID(event["id"])
        total = events[2]["data"]["total"]["amount"]
        first, second = orders.lines(2)
        assert "subscription.ordered" in first and "25 ov-ssl" in first
        assert "invoice.updated" in second and f"{total // 100:,}.{total % 100:02}" in second
        lines = everything.lines(4)
        assert [line.split()[1] for line in lines if mine.customer in line] == ["#1", "#2", "#3"]
        assert any("Mine\\u{202e} Ltd" in line for line in lines)
        assert len([name for name in queues(stage) if name.startswith("events.listen.")]) == 2
        assert everything.interrupt() == 0
        assert orders.interrupt() == 0
    limit = time.monotonic() + 10
    while any(name.startswith("events.listen.") for name in queues(stage)):
        assert time.monotonic() < limit, "the queue is still there"
        time.sleep(0.1)


def queues(stage) -> list[str]:
    return [queue["name"] for queue in stage.servers.management("GET", f"queues/{stage.name}?columns=name")]


def test_listen_ends_with_the_broker_and_says_so(stage):
    with Listening(stage) as listening:
        limit = time.monotonic() + 30
        while listening.process.poll() is None:
            stage.close_connections()
            assert time.monotonic() < limit, "it goes on without a connection"
            time.sleep(0.5)
        assert listening.process.returncode == 69
        assert listening.process.stderr.read()


# ---- outbox


def version7(age: float) -> str:
    milliseconds = int((time.time() - age) * 1000)
    return str(uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | 0x2 << 62 | uuid.uuid4().int & (1 << 62) - 1))


@pytest.mark.parametrize("age, limit, status", [(90, None, 1), (30, None, 0), (90, "5m", 0), (30, "10s", 1)])
def test_outbox_tells_what_waits_and_since_when(stage, age, limit, status):
    assert "No event waits" in stage.command_line("outbox").stdout
    # Dated in the past, as what was settled late is: that is not since when it waits.
    stage.query(
        "INSERT INTO outbox (partition, event_id, type, time, customer_id, data)"
        " SELECT p.partition, p.id::uuid, 'customer.settled', now() - interval '1 year', %s, '{}'"
        " FROM (VALUES (3, %s), (3, %s), (5, %s)) AS p (partition, id) RETURNING 1",
        new_id(),
        version7(age),
        version7(1),
        version7(2),
    )
    arguments = ["--older-than", limit] if limit else []
    lines = stage.command_line("outbox", *arguments, expect=status).stdout.splitlines()
    assert [line.split()[1:3] for line in lines[:2]] == [["3", "2"], ["5", "1"]]
    assert lines[2] == "3 events wait."
    assert 0 <= seconds(lines[0].split()[-1]) - age < 20
    assert 0 <= seconds(lines[1].split()[-1]) < 20


def seconds(text: str) -> int:
    return int(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]
