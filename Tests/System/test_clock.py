"""Time passing: renewals, expiries and invoice closings happen by themselves, once, and dated when they were due."""

from collections import defaultdict
from datetime import date, timedelta

from order_client import create_customer, new_id, order, subscription


def test_the_clock_renews_expires_and_closes_once_with_two_workers(stage, listener, publisher):
    for worker in [stage.start_worker(), stage.start_worker()]:
        worker.wait_until_ready()
    renewing, ending = new_id(), new_id()
    kept, dropped = subscription({"ov-ssl": 3}, "P1M", autoRenewal=True), subscription({"ov-ssl": 2}, "P1M")
    for customer, ordered in [(renewing, kept), (ending, dropped)]:
        publisher.command(create_customer(customer))
        publisher.command(order(customer, ordered))
        listener.event("subscription.ordered", customer)

    until = (date.today() + timedelta(days=100)).isoformat()
    stage.command_line("clock", "run", "--until", until)
    stage.command_line("clock", "run", "--until", until)

    listener.wait(lambda: listener.find("subscription.expired", ending), 30, "the expiry")
    listener.wait(lambda: len(listener.find("subscription.renewed", renewing)) >= 3, 30, "three renewals")
    renewals = listener.find("subscription.renewed", renewing)
    starts = [event.data["subscriptions"][0]["start"] for event in renewals]
    assert len(renewals) == len(set(starts)) and starts == sorted(starts)
    assert not listener.find("subscription.renewed", ending)
    assert stage.query("SELECT count(*) FROM periods WHERE customer_id = %s", renewing) == [(1 + len(renewals),)]

    # Every month that ended has a closed invoice, numbered without a gap in its series, whose total is the sum of its lines.
    closed = [event.data for customer in (renewing, ending) for event in listener.find("invoice.closed", customer)]
    series = defaultdict(list)
    for invoice in closed:
        series[invoice["kind"], invoice["series"]].append(invoice["number"])
    for numbers in series.values():
        assert sorted(numbers) == list(range(1, len(numbers) + 1))
    for invoice in closed:
        assert invoice["total"]["amount"] == sum(line["amount"]["amount"] for line in invoice["lines"])
    assert stage.query("SELECT count(*) FROM invoices WHERE state = 'closed'") == [(len(closed),)]
    assert stage.query("SELECT count(*) FROM subscriptions WHERE due_at <= now() + interval '99 days'") == [(0,)]
    stage.command_line("audit")
