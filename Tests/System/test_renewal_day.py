"""A day on which thousands of subscriptions fall due, and a worker dies in the middle of it."""

import os
import subprocess
import time
from collections import Counter, defaultdict
from contextlib import closing, contextmanager
from datetime import date, timedelta

import pytest

from order_client import Command, create_customer, new_id, now, order, subscription
from order_pricing import charge, end_of_term

PARTNER, PRODUCT, TERM = "acme", "enterprise-pki", "P1M"


class RenewalDay:
    """Customers whose subscriptions all end on one day: four of each renew, and one of every tenth doesn't."""

    def __init__(self, stage, subscriptions: int):
        self.stage = stage
        self.start = stage.catalog.today(PARTNER, now())
        self.day = end_of_term(self.start, TERM)
        self.orders: dict[str, list[dict]] = {}
        for number in range(subscriptions // 4):
            wanted = [self._subscription({"ov-ssl": 1 + number % 7, "ev-ssl": 2}, True) for _ in range(4)]
            if number % 10 == 0:
                wanted.append(self._subscription({"dv-ssl": 3}, False))
            self.orders[new_id()] = wanted
        self.renewing = {item["subscriptionId"]: item for item in self._all() if item["autoRenewal"]}
        self.ending = {item["subscriptionId"]: item for item in self._all() if not item["autoRenewal"]}

    def _all(self):
        return [item for wanted in self.orders.values() for item in wanted]

    def _subscription(self, inventory, renews):
        return subscription(inventory, TERM, PRODUCT, startDate=self.start.isoformat(), autoRenewal=renews)

    def commands(self) -> list[Command]:
        customers = [create_customer(customer) for customer in self.orders]
        return customers + [order(customer, *wanted) for customer, wanted in self.orders.items()]

    def price(self, item: dict, on: date, start: date) -> int:
        """What a subscription's period that begins at `start` costs when it is charged `on` a day."""
        return sum(
            charge(
                self.stage.catalog.unit_price(PARTNER, PRODUCT, line["certificateType"], TERM, on),
                line["quantity"],
                start,
                on,
                TERM,
            )
            for line in item["inventory"]
        )


def wait_until(condition, seconds: float, what: str):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"not within {seconds} s: {what}"
        time.sleep(0.1)


@contextmanager
def locked(stage, customers):
    """Keeps everybody else from changing these customers: who settles one of them waits in mid-transaction."""
    with closing(stage.servers.database(stage.database_url)) as database, database.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT FROM customers WHERE customer_id = ANY (%s::uuid[]) FOR UPDATE", (customers,))
        assert cursor.rowcount == len(customers)
        yield
        cursor.execute("ROLLBACK")


def waiting_for_locks(stage) -> int:
    # Of another role's session what it waits for isn't shown, its locks are.
    return stage.query(
        "SELECT count(DISTINCT pid) FROM pg_locks JOIN pg_stat_activity USING (pid)"
        " WHERE datname = current_database() AND NOT granted"
    )[0][0]


def one_in_the_middle_of_each_partition(stage) -> list[str]:
    """The clock asks for the customers by their ids, so half of each partition's come before these."""
    partitions = defaultdict(list)
    for partition, customer in stage.query(
        "SELECT partition, customer_id::text FROM inbox WHERE type = 'customer.create' ORDER BY customer_id"
    ):
        partitions[partition].append(customer)
    return [customers[len(customers) // 2] for customers in partitions.values()]


@pytest.mark.timeout(1500)
def test_each_subscription_renews_once_though_a_worker_dies_in_the_middle(stage, listener, publisher, full):
    day = RenewalDay(stage, 10_000 if full else 400)
    # Small batches, so that the day is many transactions.
    workers = [stage.start_worker(BATCH_LIMIT="5").wait_until_ready() for _ in range(2)]
    for command in day.commands():
        publisher.command(command)
    count = len(day.renewing) + len(day.ending)
    wait_until(
        lambda: stage.query("SELECT count(*) FROM subscriptions") == [(count,)], 600 if full else 60, f"{count} ordered"
    )
    wait_until(lambda: all(worker.partitions() for worker in workers), 30, "partitions for both workers")

    def renewed() -> int:
        return stage.query("SELECT count(*) FROM periods WHERE period_index = 1")[0][0]

    clock = [str(stage.servers.binary), "clock", "run", "--until", day.day.isoformat()]
    with locked(stage, one_in_the_middle_of_each_partition(stage)):
        running = subprocess.Popen(
            clock,
            env={**os.environ, **stage.environment()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            wait_until(lambda: waiting_for_locks(stage) >= 4, 120, "all four lanes stopped in mid-transaction")
            before = renewed()
            workers[0].kill()
        except BaseException:
            running.kill()
            raise
    took_over = time.monotonic()
    output, _ = running.communicate(timeout=900 if full else 120)
    assert running.returncode == 0, output
    print(
        f"{before} of {len(day.renewing)} renewed when the worker died;"
        f" the other finished {time.monotonic() - took_over:.1f} s later"
    )
    assert 0 < before < len(day.renewing), "the worker has to die in the middle"
    assert workers[1].partitions() == 8, "the other worker has to take over everything"
    again = stage.command_line("clock", "run", "--until", day.day.isoformat())
    assert "for 0 customers" in again.stdout, again.stdout

    wait_until(lambda: stage.query("SELECT count(*) FROM outbox") == [(0,)], 60, "an empty outbox")
    assert not {name: depth for name, depth in stage.queue_depths().items() if depth}
    check_subscriptions(stage, day)
    check_invoices(stage, day)
    check_events(listener, day)
    stage.command_line("audit", seconds=300)


def check_subscriptions(stage, day):
    rows = stage.query("SELECT subscription_id::text, state, period_index, period_start, period_end FROM subscriptions")
    held = {row[0]: row[1:] for row in rows}
    periods = Counter(row[0] for row in stage.query("SELECT subscription_id::text FROM periods"))
    booked = defaultdict(list)
    for key, *line in stage.query(
        "SELECT subscription_id::text, type, date, certificate_type, quantity, amount FROM transactions"
        " WHERE type IN ('renewal', 'expiry')"
    ):
        booked[key].append(tuple(line))
    assert held.keys() == day.renewing.keys() | day.ending.keys()
    for key, item in day.renewing.items():
        # Each end is computed from the original start: the end of two months isn't a month after the end of one.
        end = end_of_term(day.start, "P2M")
        assert held[key] == ("active", 1, day.day, end) and periods[key] == 2, (key, held[key], periods[key])
        expected = []
        for line in item["inventory"]:
            price = stage.catalog.unit_price(PARTNER, PRODUCT, line["certificateType"], TERM, day.day)
            quantity = line["quantity"]
            expected.append(("renewal", day.day, line["certificateType"], quantity, price * quantity))
        assert sorted(booked[key]) == sorted(expected), (key, booked[key])
    for key in day.ending:
        assert held[key] == ("expired", 0, day.start, day.day) and periods[key] == 1, (key, held[key], periods[key])
        assert booked[key] == [("expiry", day.day, None, None, 0)], (key, booked[key])


def check_invoices(stage, day):
    invoices = defaultdict(dict)
    numbers = []
    for customer, state, number, month, total in stage.query(
        "SELECT customer_id::text, state, number, period_start, total FROM invoices"
    ):
        assert state not in invoices[customer], f"{customer} has two {state} invoices"
        invoices[customer][state] = (month, total)
        numbers += [number] if state == "closed" else []
    assert sorted(numbers) == list(range(1, len(day.orders) + 1))
    for customer, wanted in day.orders.items():
        # Ordering may have gone on past midnight; the date of an order is that of its transactions.
        [(ordered,)] = stage.query(
            "SELECT DISTINCT date FROM transactions WHERE customer_id = %s AND type = 'order'", customer
        )
        assert ordered - day.start <= timedelta(days=1)
        first = sum(day.price(item, ordered, day.start) for item in wanted)
        renewals = sum(day.price(item, day.day, day.day) for item in wanted if item["autoRenewal"])
        assert invoices[customer] == {
            "closed": (ordered.replace(day=1), first),
            "open": (day.day.replace(day=1), renewals),
        }, customer


def check_events(listener, day):
    expected = {"subscription.renewed": day.renewing.keys(), "subscription.expired": day.ending.keys()}
    listener.wait(
        lambda: len(listener.event_ids) >= len(day.renewing) + len(day.ending) + 3 * len(day.orders), 60, "the events"
    )
    time.sleep(1)
    with listener.changed:
        events = list({event.id: event for event in listener.events}.values())
    for type, subscriptions in expected.items():
        told = Counter(
            item["subscriptionId"] for event in events if event.type == type for item in event.data["subscriptions"]
        )
        assert told == Counter(subscriptions), f"{type}: {told - Counter(subscriptions)}"
    closed = Counter(event.data["customerId"] for event in events if event.type == "invoice.closed")
    assert closed == Counter(day.orders.keys())
    # What a crash leaves in the outbox is published before anything newer, so each customer's events came in order.
    sequences = defaultdict(list)
    for event in events:
        sequences[event.data["customerId"]].append(event.data["sequence"])
    for customer, numbers in sequences.items():
        assert numbers == list(range(1, len(numbers) + 1)), f"{customer}: {numbers}"
