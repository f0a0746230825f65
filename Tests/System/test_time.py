"""Time is the database's; and what keeps time in order stops nothing else when it fails."""

import time
from contextlib import closing
from datetime import timedelta

import pytest

from order_client import create_customer, new_id, order, subscription
from order_stage import with_path

DAY = timedelta(days=1)
LAST_MONTH = "to_char(now() AT TIME ZONE 'UTC' + interval '2 months', 'YYYY_MM')"


def wait_until(condition, seconds: float, what: str):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"not within {seconds} s: {what}"
        time.sleep(0.1)


def unmake_last_month(stage) -> None:
    """As if it were a month later than when the inbox's months were made last."""
    with closing(stage.servers.database(stage.database_url)) as database:
        month = stage.query(f"SELECT {LAST_MONTH}")[0][0]
        database.cursor().execute(f"DROP TABLE inbox_{month}")


def is_last_month_made(stage) -> bool:
    return stage.query(f"SELECT to_regclass('inbox_' || {LAST_MONTH}) IS NOT NULL")[0][0]


def fall_due(stage, customer: str) -> None:
    """Has the clock find something due for a customer, an hour ago."""
    with closing(stage.servers.database(stage.database_url)) as database:
        cursor = database.cursor()
        cursor.execute(
            "UPDATE subscriptions SET due_at = now() - interval '1 hour' WHERE customer_id = %s AND due_at IS NOT NULL",
            (customer,),
        )
        assert cursor.rowcount > 0


def is_settled(stage, customer: str) -> bool:
    return stage.query(
        "SELECT count(*) FROM inbox WHERE type = 'customer.settle' AND customer_id = %s", customer
    ) > [(0,)]


def test_seen_5_a_reader_that_holds_the_inbox_keeps_nobody_waiting(stage, listener, publisher):
    unmake_last_month(stage)
    with closing(stage.servers.database(stage.database_url)) as reader:
        reader.autocommit = False
        cursor = reader.cursor()
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT count(*) FROM inbox")
        worker = stage.start_worker().wait_until_ready()
        slowest = 0.0
        end = time.monotonic() + 25
        while time.monotonic() < end:
            customer, began = new_id(), time.monotonic()
            publisher.command(create_customer(customer))
            listener.event("customer.created", customer)
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < 2, f"a command waited {slowest:.1f} s for the reader"
        assert not is_last_month_made(stage)
        assert "keeping the inbox's months failed" in worker.tail(1000), "nobody says so"
        reader.rollback()
    wait_until(lambda: is_last_month_made(stage), 60, "the month is made once the reader is gone")


def test_seen_6_a_worker_with_rights_to_rows_alone_makes_months_and_settles(stage, listener, publisher):
    customer = new_id()
    first = stage.start_worker().wait_until_ready()
    publisher.command(create_customer(customer))
    publisher.command(order(customer, subscription({"ov-ssl": 2}, "P1M", autoRenewal=True)))
    listener.event("subscription.ordered", customer)
    first.terminate()
    first.wait(30)

    unmake_last_month(stage)
    role, password = stage.name + "_worker", new_id()
    administrator = with_path(stage.servers.urls["ADMIN_DATABASE_URL"], stage.name)
    with closing(stage.servers.database(administrator)) as database:
        cursor = database.cursor()
        cursor.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'")
        cursor.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}")
        # A row of the month that isn't there yet.
        cursor.execute(
            "INSERT INTO inbox SELECT received_at + interval '2 months', sender, source, id || ' later', customer_id,"
            " partition, type, publisher, effective_at, data, traceparent, tracestate, outcome_id, outcome_type,"
            " outcome_at, outcome_data FROM inbox LIMIT 1"
        )
        cursor.execute("SELECT count(*) FROM inbox_default")
        assert cursor.fetchone() == (1,)
    try:
        fall_due(stage, customer)
        server = stage.database_url.split("@")[1]
        worker = stage.start_worker(DATABASE_URL=f"postgresql://{role}:{password}@{server}").wait_until_ready()
        wait_until(lambda: is_settled(stage, customer), 30, "what is due is settled")
        wait_until(lambda: is_last_month_made(stage), 30, "the month is made")
        assert stage.query("SELECT count(*) FROM inbox_default") == [(0,)]
        assert stage.query("SELECT count(*) FROM inbox WHERE id LIKE '%% later' AND customer_id = %s", customer) == [(1,)]
        assert worker.get("/readyz")[0] == 200
        worker.terminate()
        worker.wait(30)
    finally:
        with closing(stage.servers.database(administrator)) as database:
            database.cursor().execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_seen_6_months_that_cannot_be_made_stop_no_settlement_and_are_told(stage, listener, publisher):
    worker = stage.start_worker().wait_until_ready()
    customer = new_id()
    publisher.command(create_customer(customer))
    publisher.command(order(customer, subscription({"ov-ssl": 2}, "P1M", autoRenewal=True)))
    listener.event("subscription.ordered", customer)
    worker.terminate()
    worker.wait(30)

    with closing(stage.servers.database(stage.database_url)) as database:
        cursor = database.cursor()
        cursor.execute("CREATE TEMPORARY TABLE kept AS SELECT * FROM inbox")
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits"
            " WHERE inhparent = 'inbox'::regclass AND inhrelid <> 'inbox_default'::regclass"
        )
        for (month,) in cursor.fetchall():
            cursor.execute(f"DROP TABLE {month}")
        cursor.execute("INSERT INTO inbox SELECT * FROM kept")
        cursor.execute("DROP FUNCTION make_inbox_month(date)")
    fall_due(stage, customer)
    worker = stage.start_worker()
    wait_until(lambda: is_settled(stage, customer), 30, "what is due is settled")
    wait_until(lambda: "less than a month" in worker.get("/readyz")[1], 30, "readiness says that months are missing")
    assert worker.get("/readyz")[0] == 503
    done = stage.command_line("doctor", expect=1)
    assert "month" in done.stdout
    # Orders flow all the same.
    publisher.command(order(customer, subscription({"ov-ssl": 1}, "P1Y")))
    listener.event("subscription.ordered", customer)


def test_seen_10_a_worker_whose_clock_is_40_days_ahead_closes_nothing_and_says_so(
    stage, listener, publisher, clock_ahead
):
    worker = stage.start_worker().wait_until_ready()
    customers = [new_id() for _ in range(20)]
    for customer in customers:
        publisher.command(create_customer(customer))
        publisher.command(order(customer, subscription({"ov-ssl": 2}, "P1M", autoRenewal=True)))
    for customer in customers:
        listener.event("subscription.ordered", customer)
    worker.terminate()
    worker.wait(30)

    ahead = {"LD_PRELOAD": clock_ahead(40 * 86400)}
    worker = stage.start_worker(**ahead)
    wait_until(lambda: "ahead of the database's" in worker.get("/readyz")[1], 30, "readiness names the clock")
    assert worker.get("/readyz")[0] == 503
    wait_until(lambda: "this machine's clock is" in worker.tail(1000), 10, "the log names the clock")
    assert worker.metric("order_worker_clock_skew_seconds") == pytest.approx(40 * 86400, abs=60)
    time.sleep(22)
    assert stage.query("SELECT count(*) FROM invoices WHERE state = 'closed'") == [(0,)]
    assert stage.query("SELECT count(*) FROM periods WHERE period_index > 0") == [(0,)]
    done = stage.command_line("doctor", expect=1, **ahead)
    assert "clock" in done.stdout and "ahead" in done.stdout


def test_clock_run_ends_at_midnight_in_each_partners_zone_and_goes_on_to_a_later_date(stage, listener, publisher):
    stage.start_worker().wait_until_ready()
    customer = new_id()
    publisher.command(create_customer(customer))
    publisher.command(order(customer, subscription({"ov-ssl": 2}, "P1M", autoRenewal=True)))
    ordered = listener.event("subscription.ordered", customer)
    assert ordered.type == "subscription.ordered"
    (end,) = stage.query("SELECT upper(span) FROM periods WHERE customer_id = %s", customer)[0]

    def periods() -> int:
        return stage.query("SELECT count(*) FROM periods WHERE customer_id = %s", customer)[0][0]

    def invoices() -> list:
        return stage.query("SELECT state, period_end FROM invoices WHERE customer_id = %s ORDER BY 2", customer)

    # To the end of the month's last day: the month is closed, and nothing of the next has begun.
    next_month = invoices()[0][1]
    assert next_month <= end
    stage.command_line("clock", "run", "--until", (next_month - DAY).isoformat())
    assert invoices() == [("closed", next_month)]
    assert periods() == 1
    closed = listener.event("invoice.closed", customer)
    assert closed.data["period"]["end"] == next_month.isoformat() and closed.data["number"] == 1
    # To the end of the day before: the period that begins on the next hasn't begun.
    stage.command_line("clock", "run", "--until", (end - DAY).isoformat())
    assert periods() == 1
    stage.command_line("clock", "run", "--until", end.isoformat())
    assert periods() == 2
    stage.command_line("audit")


def test_audit_and_doctor_name_what_has_been_due_for_more_than_ten_minutes(stage, listener, publisher):
    customer = new_id()
    worker = stage.start_worker().wait_until_ready()
    publisher.command(create_customer(customer))
    publisher.command(order(customer, subscription({"ov-ssl": 2}, "P1M", autoRenewal=True)))
    listener.event("subscription.ordered", customer)
    worker.terminate()
    assert worker.wait(30) == 0
    stage.command_line("audit")
    stage.command_line("doctor")
    fall_due(stage, customer)
    audited = stage.command_line("audit", expect=1)
    assert [line.split()[1] for line in audited.stdout.splitlines() if line.startswith("BROKEN")] == ["overdue"]
    assert customer in audited.stdout
    assert "more than ten minutes" in stage.command_line("doctor", expect=1).stdout
    stage.start_worker().wait_until_ready()
    wait_until(lambda: is_settled(stage, customer), 60, "the clock asks for it")
    # It wasn't due by the calendar: nothing happened but that the clock was told when to look again.
    stage.command_line("audit")
    assert not listener.find("subscription.renewed", customer)
