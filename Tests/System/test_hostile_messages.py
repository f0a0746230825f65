"""10,000 hostile messages among good commands: nothing stops, each is accounted for, and none changes anything."""

import json
import random
import time
from collections import Counter, defaultdict
from contextlib import closing

import pika
import pytest

from order_bulk import BulkPublisher, Message
from order_client import create_customer, new_id, now
from order_headers import any_headers, nested
from order_hostile import DEAD, EXPIRED, REJECTED, REUSED, Hostile, HostileGenerator, Target
from order_load import PARTNER, Load

HOSTILE = 10_000
GOOD = 2_000
CUSTOMERS = 300
# Measured: 50 MiB at rest and 65 to 85 MiB at most (82 in the long form), in which 16 MiB of deliveries may be waiting.
MEMORY_LIMIT = 256 << 20
# A dead letter's line, with an id and a type of 200 characters of which each may be escaped.
LINE_LIMIT = 4_000
# As many dead letters as an operator is shown at a time.
LISTED = 65_535


class Orders(Load):
    """The good commands: customers' histories, mixed with each other, and with hostile messages."""

    def mixed(self, hostile: HostileGenerator, count: int, made: list[Hostile]):
        """All messages in random order, but each customer's own commands in theirs."""
        chosen = self.random
        open_histories = [history for history in self.histories if history.waiting]
        targets: list[Target] = []
        by_customer: dict[str, Target] = {}
        left = sum(len(history.waiting) for history in open_histories)
        while left or len(made) < count:
            if chosen.random() * (left + count - len(made)) >= left:
                made.append(hostile.next(targets))
                yield made[-1]
                continue
            left -= 1
            history = chosen.choice(open_histories)
            command = history.waiting.pop(0)
            if not history.waiting:
                open_histories.remove(history)
            command.time = now()
            if command.customer not in by_customer:
                by_customer[command.customer] = Target(command.customer, True, history.sent)
                targets.append(by_customer[command.customer])
            history.sent.append(command)
            body, properties = command.message(
                hostile.mode(), reply_to=self.listener.reply_queue, correlation_id=command.id)
            yield Message(command.customer, properties, body)

    def verify_good_ones(self) -> None:
        """Each good command has its right outcome, each customer's events are in order, and each invoice adds up."""
        sent = [command for history in self.histories for command in history.sent]
        assert len(sent) == self.commands
        outcome = self._one_outcome_each(sent)
        by_customer = defaultdict(list)
        for event in {event.id: event for event in self.listener.events}.values():
            if event.data["sequence"] > 0:  # what isn't about a customer's state has no place in its sequence
                by_customer[event.data["customerId"]].append(event)
        for history in self.histories:
            self._history_is_right(history, by_customer.pop(history.customer), outcome)
        assert not by_customer, f"events about customers that nobody created: {list(by_customer)[:3]}"

        recorded = {(source, id): rest for source, id, *rest in self.stage.query(
            "SELECT source, id, outcome_id::text, outcome_type, sender FROM inbox")}
        for command in sent:
            event = outcome[command.id]
            assert recorded.pop((command.source, command.id)) == [event.id, event.type, PARTNER]
        assert {type for _, type, _ in recorded.values()} == {"command.rejected"}

        self._nothing_else_is_stored(sent, outcome)

    def _nothing_else_is_stored(self, sent, outcome):
        created = {command.customer: command.data for command in sent if command.type == "customer.create"}
        stored = self.stage.query(
            "SELECT customer_id::text, company_name, city, partner_id, reseller_id FROM customers")
        assert {customer: rest for customer, *rest in stored} == {
            customer: [data["companyName"], data["address"]["city"], PARTNER, None]
            for customer, data in created.items()
        }
        made = [
            transaction
            for command in sent
            if outcome[command.id].type == "subscription.ordered"
            for transaction in outcome[command.id].data["transactions"]
        ]
        assert set(self.stage.query("SELECT transaction_id::text, amount FROM transactions")) == {
            (transaction["transactionId"], transaction["amount"]["amount"]) for transaction in made
        }
        assert {row[0] for row in self.stage.query("SELECT subscription_id::text FROM subscriptions")} == {
            transaction["subscriptionId"] for transaction in made
        }


def wait_until_worked_off(stage, worker, dead: int, seconds: float) -> int:
    """Until nothing is left in the partitions and the outbox, and this many dead letters are there or no more come."""
    limit = time.monotonic() + seconds
    quiet = None
    while True:
        assert worker.running, worker.tail()
        assert worker.metric("order_worker_lane_restarts_total") == 0, worker.tail()
        depths = stage.queue_depths()
        put_aside = depths.pop("orders.dead")
        if not any(depths.values()) and stage.query("SELECT count(*) FROM outbox") == [(0,)]:
            if put_aside == dead or quiet and quiet[0] == put_aside and time.monotonic() > quiet[1] + 10:
                return put_aside
            quiet = quiet if quiet and quiet[0] == put_aside else (put_aside, time.monotonic())
        assert time.monotonic() < limit, f"{put_aside} dead letters of {dead}; left: {depths}"
        time.sleep(0.3)


def dead_letters(stage, count: int) -> list[tuple[pika.BasicProperties, bytes]]:
    """Takes all dead letters off their queue."""
    found = []
    with closing(pika.BlockingConnection(pika.URLParameters(stage.admin_url))) as connection:
        channel = connection.channel()
        for method, properties, body in channel.consume("orders.dead", auto_ack=True, inactivity_timeout=5):
            if method is None:
                break
            found.append((properties, body))
            if len(found) == count:
                break
        channel.cancel()
    return found


def mark_of(properties: pika.BasicProperties, customer) -> str:
    """By what a message, or what came of it, is recognised."""
    correlation = properties.correlation_id
    if isinstance(correlation, bytes):
        correlation = correlation.decode(errors="replace")
    return correlation[:7] if correlation else customer


def verify_dead_letters(stage, hostile: dict[str, Hostile], letters) -> Counter:
    """Each unreadable message is among them once, unchanged, with the reason; gives the number for each reason."""
    reasons = Counter()
    expected = {mark for mark, message in hostile.items() if message.fate in (DEAD, EXPIRED)}
    seen = set()
    for properties, body in letters:
        headers = properties.headers
        mark = mark_of(properties, headers.get("x-order-worker-routing-key"))
        message = hostile[mark]
        about = f"{message.kind}: {message.properties} {message.body[:300]!r}: {headers}"
        assert mark not in seen, f"twice among the dead letters: {about}"
        seen.add(mark)
        assert message.fate in (DEAD, EXPIRED), f"among the dead letters: {about}"
        assert body == message.body, about
        for name in ("content_type", "message_id", "type", "timestamp", "app_id", "priority"):
            sent = getattr(message.properties, name)
            if isinstance(sent, bytes):
                sent = sent.decode(errors="replace")
            assert getattr(properties, name) == (sent or getattr(properties, name)), (name, about)
        if properties.user_id == "worker":
            reason = headers["x-order-worker-reason"]
            assert reason in message.codes, about
            assert headers["x-order-worker-message"] and json.loads(headers["x-order-worker-violations"]), about
            assert headers["x-order-worker-user"] == (message.properties.user_id or ""), about
        else:
            assert message.fate == EXPIRED and properties.user_id == "publisher", about
            reason = headers["x-first-death-reason"]
            assert reason == "expired", about
        reasons[reason] += 1
    missing = [f"{hostile[mark].kind}: {hostile[mark].properties}" for mark in expected - seen]
    assert not missing, f"{len(missing)} aren't among the dead letters: {missing[:3]}"
    return reasons


def verify_refusals(stage, listener, hostile: dict[str, Hostile]) -> None:
    """Each hostile message is refused exactly once, with a code that is right for it, and has no other outcome."""
    refusals = defaultdict(list)
    for event in listener.events:
        mark = mark_of(event.properties, event.data.get("customerId"))
        if mark in hostile:
            refusals[mark].append(event)
    kept = {(source, id): (type, outcome) for source, id, type, outcome in stage.query(
        "SELECT source, id, outcome_type, outcome_id::text FROM inbox")}
    for mark, message in hostile.items():
        about = f"{message.kind}: {message.properties} {message.body[:300]!r}: {refusals[mark]}"
        if message.fate == EXPIRED and not refusals[mark]:
            continue  # the broker put it aside, which no worker has seen
        (refusal,) = refusals[mark] or [None]
        assert refusal and refusal.type == "command.rejected", about
        assert refusal.data["code"] in message.codes and refusal.data["message"] and refusal.data["violations"], about
        if message.properties.reply_to == listener.reply_queue and message.properties.user_id:
            correlation = refusal.properties.correlation_id
            assert [reply.id for reply in listener.replies[correlation]] == [refusal.id], about
        if message.fate in (REJECTED, REUSED):
            command = {"id": message.command.id, "source": message.command.source, "type": message.command.type}
            assert refusal.data["command"] == command, about
        if message.fate == REJECTED:
            assert kept.get((message.command.source, message.command.id)) == ("command.rejected", refusal.id), about


def verify_log(worker, dead: int) -> None:
    """A warning for each message that the worker put aside, as JSON, of bounded length; nothing about a failure."""
    lines = worker.log.read_bytes().splitlines()
    levels = Counter()
    for line in lines:
        assert len(line) < LINE_LIMIT, line[:LINE_LIMIT]
        entry = json.loads(line)
        levels[entry["level"]] += 1
        assert entry["level"] not in ("error", "critical"), line
        assert entry["level"] != "warning" or entry["message"] == "dead-lettered", line
    assert levels["warning"] <= dead
    assert len(lines) <= dead + 100, levels


def memory(worker) -> int:
    """The most memory that the worker has had so far, in bytes."""
    with open(f"/proc/{worker.process.pid}/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM:"))


@pytest.mark.timeout(1_200)
def test_hostile_messages_change_nothing_and_stop_nothing(stage, listener, seed, full):
    count = 10 * HOSTILE if full else HOSTILE
    worker = stage.start_worker().wait_until_ready()
    orders = Orders(stage, listener, seed, GOOD, CUSTOMERS)
    generator = HostileGenerator(seed, listener.reply_queue, stage.catalog.today(PARTNER, now()))
    made: list[Hostile] = []
    with any_headers():
        published = BulkPublisher(stage.publisher_url, orders.mixed(generator, count, made)).run()
        assert published == count + GOOD and len(made) == count
        hostile = {message.mark: message for message in made}
        assert len(hostile) == count
        fates = Counter(message.fate for message in made)
        dead = fates[DEAD] + fates[EXPIRED]
        put_aside = wait_until_worked_off(stage, worker, dead, 60 + count / 500)

        # The one worker process has gone through all of it without a stumble.
        assert worker.running and worker.get("/readyz")[0] == 200 and worker.get("/healthz")[0] == 200
        assert worker.metric("order_worker_lane_restarts_total") == 0
        peak = memory(worker)
        assert peak < MEMORY_LIMIT, f"{peak >> 20} MiB"

        # An operator can look at what was put aside; then each hostile message is accounted for.
        listed = [json.loads(line) for line in stage.command_line("deadletters", "list", "--json").stdout.splitlines()]
        assert Counter(letter["by"] for letter in listed).keys() <= {"worker", "broker"}
        reasons = verify_dead_letters(stage, hostile, dead_letters(stage, put_aside))
        assert len(listed) == min(put_aside, LISTED)
        assert put_aside > LISTED or Counter(letter["reason"] for letter in listed) == reasons
    listener.wait(lambda: len(listener.events) >= len(made) + GOOD - fates[EXPIRED], 30, "the refusals")
    verify_refusals(stage, listener, hostile)
    orders.verify_good_ones()
    stage.command_line("audit")
    verify_log(worker, dead)
    assert stage.queue_depths() == {name: 0 for name in stage.queue_depths()}
    kinds = Counter(message.kind for message in made)
    assert set(kinds) == set(generator.kinds), "a kind was never made"
    # Seen with -s: what the figures in this file's comments were taken from.
    print(f"{peak >> 20} MiB at most; {dict(fates)}; {dict(reasons)}; {dict(kinds)}")


def direct_reply_address(stage) -> str:
    """An address such as RabbitMQ makes for a client that waits for a direct reply; nobody waits at it any more."""
    with closing(pika.BlockingConnection(pika.URLParameters(stage.admin_url))) as connection:
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.basic_consume("amq.rabbitmq.reply-to", lambda *_: None, auto_ack=True)
        channel.basic_publish("", queue, b"", pika.BasicProperties(reply_to="amq.rabbitmq.reply-to"))
        while True:
            method, properties, _ = channel.basic_get(queue, auto_ack=True)
            if method:
                return properties.reply_to


def test_addresses_for_direct_replies_that_a_publisher_made_up_stop_nobody(stage, listener, publisher, seed):
    # RabbitMQ 3.10 answers some of these with an internal error, and closes the connection that publishes to them.
    chosen = random.Random(seed)
    prefix = "amq.rabbitmq.reply-to."
    real = direct_reply_address(stage)
    assert real.startswith(prefix)
    addresses = [real] + [prefix + made_up for made_up in ("", ".", "!.x", "AAAA.BBBB", "g1h2.AA==", "g2hlbGxv.x")]
    for _ in range(40):
        made_up = list(real[len(prefix) :])
        for _ in range(chosen.choice((1, 1, 3, 10))):
            made_up[chosen.randrange(len(made_up))] = chosen.choice("AZaz09+/=.")
        addresses.append(prefix + "".join(made_up[: chosen.randint(1, 2 * len(made_up))]))
    worker = stage.start_worker().wait_until_ready()
    asked = []
    for address in addresses:
        for command in (create_customer(new_id()), create_customer(new_id(), resellerId="no-such-reseller")):
            publisher.command(command, "plain", reply_to=address)
            asked.append(command)
        body, properties = create_customer(new_id()).message(reply_to=address)
        publisher.send(body[:-1], properties, "unreadable")
    after = [create_customer(new_id()) for _ in range(100)]
    for command in after:
        publisher.command(command, reply_to=listener.reply_queue, correlation_id=command.id)
    for command in after:
        assert listener.reply(command.id).type == "customer.created"

    def unannounced():
        return [
            command
            for command in asked
            if not listener.find("customer.created", command.customer)
            and not listener.find("command.rejected", command.customer)
        ]

    listener.wait(lambda: not unannounced(), 60, lambda: f"outcomes of {unannounced()}")
    assert worker.running and worker.metric("order_worker_lane_restarts_total") == 0, worker.tail(5)
    listener.wait(lambda: stage.query("SELECT count(*) FROM outbox") == [(0,)], 10, "an empty outbox")


@pytest.mark.parametrize("tables", [False, True], ids=["arrays", "tables"])
def test_headers_nested_as_deep_as_a_frame_allows_stop_nobody(tables, stage, listener, publisher):
    worker = stage.start_worker().wait_until_ready()
    deep = [create_customer(new_id()) for _ in range(4)]
    with any_headers():
        for command, levels in zip(deep, (90, 1_000, 5_000, 20_000)):
            headers = {"deep": nested(levels, tables)}
            publisher.command(command, "plain", headers=headers)
    after = create_customer(new_id())
    publisher.command(after, reply_to=listener.reply_queue, correlation_id=after.id)
    assert listener.reply(after.id).type == "customer.created"
    # Newer versions of the AMQP library refuse to read the deepest ones: then they are put aside.
    listener.wait(
        lambda: sum(bool(listener.find("customer.created", command.customer)) for command in deep)
        + stage.queue_depths()["orders.dead"] == len(deep), 30, "the commands with deep headers")
    assert listener.find("customer.created", deep[0].customer)
    assert worker.running and worker.get("/readyz")[0] == 200


def test_a_reply_queue_that_is_full_for_good_stops_nobody(stage, listener, publisher):
    full = f"{listener.reply_queue}.full"
    with closing(pika.BlockingConnection(pika.URLParameters(stage.consumer_url))) as connection:
        connection.channel().queue_declare(
            full, durable=True, arguments={"x-max-length": 1, "x-overflow": "reject-publish"}
        )
        worker = stage.start_worker().wait_until_ready()
        asked = [create_customer(new_id()) for _ in range(20)]
        for command in asked:
            publisher.command(command, reply_to=full)
        for command in asked:
            assert listener.event("customer.created", command.customer, 60)
        after = create_customer(new_id())
        publisher.command(after, reply_to=listener.reply_queue, correlation_id=after.id)
        assert listener.reply(after.id).type == "customer.created"
        listener.wait(lambda: stage.query("SELECT count(*) FROM outbox") == [(0,)], 10, "an empty outbox")
        assert worker.running and worker.metric("order_worker_lane_restarts_total") == 0, worker.tail(5)
