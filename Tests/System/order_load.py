"""A load of customers' histories in which the order of commands matters, and the check of all that came of it."""

import random
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta

from order_client import Command, Listener, Publisher, create_customer, new_id, now, order, subscription
from order_stage import Stage

PARTNER = "acme"


@dataclass
class History:
    """One customer's commands in the order in which they are published."""

    customer: str
    waiting: list[Command] = field(default_factory=list)
    sent: list[Command] = field(default_factory=list)


class Load:
    """Publishes histories from several connections at a steady rate, some of the commands more than once.

    A history is a customer.create and orders after it: an order that overtook the creation would be refused. Some orders
    use a subscription's id again, so that which of the two is accepted tells which came first; some ask for what isn't
    sold. Backdating stays far from the limits, so that no answer depends on the second in which it is given.
    """

    def __init__(
        self, stage: Stage, listener: Listener, seed: int, commands: int, customers: int = 0, threads: int = 4
    ):
        self.stage = stage
        self.listener = listener
        self.random = random.Random(seed)
        self.histories = self._histories(commands, customers or max(8, commands // 15))
        self.commands = commands
        self.threads = threads
        self.errors: list[BaseException] = []
        self.sent = 0
        self.stopped = threading.Event()
        self._running: list[threading.Thread] = []

    def _histories(self, commands: int, customers: int) -> list[History]:
        histories = []
        for number in range(customers):
            customer = new_id()
            histories.append(History(customer, [create_customer(customer, f"Customer {number} Ltd")]))
        for _ in range(commands - customers):
            history = self.random.choice(histories)
            history.waiting.append(self._order(history))
        return histories

    def _order(self, history: History) -> Command:
        chance = self.random.random()
        wanted = [self._subscription() for _ in range(self.random.choice((1, 1, 1, 2, 3)))]
        earlier = [item for command in history.waiting[1:] for item in command.data["subscriptions"]]
        if chance < 0.10 and earlier:
            wanted[0]["subscriptionId"] = self.random.choice(earlier)["subscriptionId"]
        elif chance < 0.14:
            wanted[0]["product"] = "no-such-product"
        return order(history.customer, *wanted)

    def _subscription(self) -> dict:
        term = self.random.choice(("P1Y", "P2Y", "P3Y", "P1M", "P365D"))
        types = self.random.sample(("ov-ssl", "ev-ssl", "dv-ssl", "smime"), self.random.choice((1, 1, 2)))
        wanted = subscription({name: self.random.randint(1, 500) for name in types}, term)
        if self.random.random() < 0.7:
            backdated = self.random.randint(1, 25 if term == "P1M" else 360)
            today = self.stage.catalog.today(PARTNER, now())
            wanted["startDate"] = (today - timedelta(days=backdated)).isoformat()
        return wanted

    def start(self, rate: float, duplicates: float = 0.1) -> "Load":
        """Publishes in the background, `rate` commands a second in all."""
        shares = [self.histories[number :: self.threads] for number in range(self.threads)]
        for share in shares:
            generator = random.Random(self.random.random())
            arguments = (share, self.threads / rate, duplicates, generator)
            self._running.append(threading.Thread(target=self._publish, args=arguments, daemon=True))
        for thread in self._running:
            thread.start()
        return self

    def _publish(self, histories, pause, duplicates, generator):
        try:
            with self.publisher() as publisher:
                due = time.monotonic()
                open_histories = [history for history in histories if history.waiting]
                again = []
                while open_histories and not self.stopped.is_set():
                    history = generator.choice(open_histories)
                    command = history.waiting.pop(0)
                    if not history.waiting:
                        open_histories.remove(history)
                    command.time = now()
                    history.sent.append(command)
                    self._send(publisher, command)
                    again.append(command)
                    self.sent += 1
                    if generator.random() < duplicates:
                        # At once or much later, but the same message to the byte.
                        self._send(publisher, generator.choice(again[-3:] if generator.random() < 0.5 else again))
                    due += pause
                    self._keep_pace(due)
        except BaseException as error:  # handed to the test's own thread
            self.errors.append(error)

    def publisher(self) -> Publisher:
        return Publisher(self.stage.publisher_url)

    def _keep_pace(self, due: float) -> None:
        time.sleep(max(0.0, due - time.monotonic()))

    def _send(self, publisher, command):
        publisher.command(command, reply_to=self.listener.reply_queue, correlation_id=command.id)

    @property
    def publishing(self) -> bool:
        return any(thread.is_alive() for thread in self._running)

    def finish(self, seconds: float = 300) -> None:
        """Waits until everything is published."""
        limit = time.monotonic() + seconds
        for thread in self._running:
            thread.join(max(0.1, limit - time.monotonic()))
        assert not self.errors, self.errors[0]
        assert not self.publishing, f"publishing isn't finished within {seconds} s"

    def outcomes_missing(self) -> list[str]:
        return [
            command.id
            for history in self.histories
            for command in history.sent
            if command.id not in self.listener.replies
        ]

    def verify(self, seconds: float = 120) -> None:
        """Waits for all outcomes, then checks each promise against what arrived and what the database holds."""
        listener = self.listener
        sent = [command for history in self.histories for command in history.sent]
        listener.wait(
            lambda: len(listener.replies) >= len(sent) and not self.outcomes_missing(),
            seconds,
            lambda: f"{len(self.outcomes_missing())} of {len(sent)} outcomes, e.g. {self.outcomes_missing()[:3]}",
        )
        outcome = self._one_outcome_each(sent)
        # A worker that died between committing and publishing leaves the events to its successor.
        listener.wait(
            lambda: all(event.id in listener.event_ids for event in outcome.values()),
            30,
            lambda: f"{[e.id for e in outcome.values() if e.id not in listener.event_ids][:3]} on order.events",
        )
        self._emptied()
        with listener.changed:
            events = list(listener.events)
        self._inbox_agrees(sent, outcome)
        first_arrivals = list({event.id: event for event in events}.values())
        by_customer = defaultdict(list)
        for event in first_arrivals:
            by_customer[event.data["customerId"]].append(event)
        for history in self.histories:
            if history.sent:
                self._history_is_right(history, by_customer[history.customer], outcome)
        known = {history.customer for history in self.histories}
        assert set(by_customer) <= known, "events about customers that nobody created"
        assert not listener.unreadable()
        self.stage.command_line("audit")

    def _one_outcome_each(self, sent):
        outcome = {}
        for command in sent:
            ids = {event.id for event in self.listener.replies[command.id]}
            assert len(ids) == 1, f"command {command.id} has {len(ids)} outcomes: {ids}"
            outcome[command.id] = self.listener.replies[command.id][0]
        assert len({event.id for event in outcome.values()}) == len(sent), "two commands share an outcome"
        return outcome

    def _emptied(self):
        """Nothing is left in the outbox, in the worker's queues, or among the dead letters."""
        limit = time.monotonic() + 30
        while True:
            left = self.stage.query("SELECT count(*) FROM outbox")[0][0]
            depths = {name: depth for name, depth in self.stage.queue_depths().items() if depth}
            if not left and not depths:
                return
            assert time.monotonic() < limit, f"still in the outbox: {left}; in queues: {depths}"
            time.sleep(0.5)

    def _inbox_agrees(self, sent, outcome):
        rows = self.stage.query("SELECT source, id, outcome_id::text, outcome_type FROM inbox")
        assert len(rows) == len({row[:2] for row in rows}), "a command is in the inbox twice"
        recorded = {row[1]: row[2:] for row in rows}
        expected = {command.id: (outcome[command.id].id, outcome[command.id].type) for command in sent}
        wrong = [key for key in expected if recorded.get(key) != expected[key]]
        assert not wrong, f"{len(wrong)} commands' outcomes differ from the inbox, e.g. {wrong[0]}"
        assert len(recorded) == len(expected), "the inbox holds commands that nobody sent"

    def _history_is_right(self, history, events, outcome):
        customer = history.customer
        sequences = [event.data["sequence"] for event in events]
        assert sequences == sorted(sequences), f"{customer}: events arrived out of order: {sequences}"
        assert sequences == list(range(1, len(sequences) + 1)), f"{customer}: a gap or a repetition: {sequences}"

        # The outcomes, in the order of the commands.
        own = {outcome[command.id].id: number for number, command in enumerate(history.sent)}
        arrived = [own[event.id] for event in events if event.id in own]
        assert arrived == list(range(len(history.sent))), f"{customer}: commands were applied out of order: {arrived}"

        total = 0
        lines = 0
        taken = set()
        for command in history.sent:
            answer = outcome[command.id]
            if command.type == "customer.create":
                assert answer.type == "customer.created", (command, answer)
                continue
            wanted = command.data["subscriptions"]
            codes = set()
            if any(item["subscriptionId"] in taken for item in wanted):
                codes.add("subscription_exists")
            if any(item["product"] == "no-such-product" for item in wanted):
                codes.add("product_unknown")
            if codes:
                assert answer.type == "command.rejected", (command, answer)
                assert {violation["code"] for violation in answer.data["violations"]} == codes, (command, answer)
                assert answer.data["command"] == {"id": command.id, "source": command.source, "type": command.type}
                continue
            assert answer.type == "subscription.ordered", (command, answer)
            taken |= {item["subscriptionId"] for item in wanted}
            expected = self.stage.catalog.order_lines(PARTNER, command.data, command.time)
            made = {
                (made["subscriptionId"], made["certificateType"], made["quantity"], made["amount"]["amount"])
                for made in answer.data["transactions"]
            }
            assert made == {
                (line.subscription, line.certificate_type, line.quantity, line.amount) for line in expected
            }, (command, answer)
            total += sum(line.amount for line in expected)
            lines += len(expected)

        # The last version of each invoice, and the lines of all versions, add up to the same sum.
        invoices = {}
        booked = {}
        for event in events:
            if event.type in ("invoice.updated", "invoice.closed"):
                previous = invoices.get(event.data["invoiceId"])
                assert previous is None or event.data["version"] > previous["version"], f"{customer}: version repeated"
                invoices[event.data["invoiceId"]] = event.data
                booked.update((line["transactionId"], line["amount"]["amount"]) for line in event.data["lines"])
        assert sum(invoice["total"]["amount"] for invoice in invoices.values()) == total, f"{customer}: invoice total"
        assert sum(booked.values()) == total and len(booked) == lines, f"{customer}: invoice lines"
