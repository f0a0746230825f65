"""Roles and rights: who runs workers can take nothing back, who reads changes nothing, and doctor names what differs."""

import os
import re
import secrets
import shlex
import subprocess
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import pika
import psycopg2
import pytest
from pika.exceptions import ChannelClosedByBroker
from psycopg2.errors import InsufficientPrivilege

from order_client import create_customer, new_id, order, subscription
from order_faults import channel_of, wait_until
from order_stage import SAMPLE_CATALOG, with_path

TABLES = "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"


def mends(output: str) -> list[str]:
    """What the doctor says to do."""
    return re.findall(r"mend: +(.*)", output)


def administrator(stage) -> str:
    return with_path(stage.servers.urls["ADMIN_DATABASE_URL"], stage.name)


def execute(stage, url: str, *statements: str) -> None:
    with closing(stage.servers.database(url)) as database, database.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@contextmanager
def role_of_its_own(stage):
    """A database role that is this test's alone; gives its name, and the URL to connect with."""
    role, password = f"{stage.name}_role", secrets.token_hex(16)
    execute(stage, administrator(stage), f"CREATE ROLE {role} LOGIN PASSWORD '{password}'")
    try:
        url = urlsplit(stage.database_url)
        yield role, url._replace(netloc=f"{role}:{password}@{url.hostname}:{url.port}").geturl()
    finally:
        execute(stage, administrator(stage), f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def another_catalog(stage) -> str:
    file = stage.folder / "catalog.json"
    file.write_text(SAMPLE_CATALOG.read_text().replace('"name": "', '"name": "New '))
    return str(file)


@pytest.fixture
def books(stage, listener, publisher):
    """A customer with an order that a worker applied."""
    stage.start_worker().wait_until_ready()
    publisher.command(create_customer(customer := new_id()))
    publisher.command(order(customer, subscription({"ov-ssl": 3})))
    listener.event("subscription.ordered", customer)
    return customer


# ---- The database


def test_the_workers_role_can_alter_drop_truncate_disable_and_delete_nothing_of_the_books(stage, books):
    refused = [
        "DELETE FROM transactions",
        "UPDATE transactions SET amount = 0",
        "DELETE FROM inbox",
        "UPDATE inbox_default SET id = id",
        "DELETE FROM customers",
        "UPDATE prices SET unit_price = 0",
        "INSERT INTO publishers VALUES ('me', 'acme')",
        "UPDATE schema_migrations SET version = version",
        "INSERT INTO granted_roles VALUES ('me', 'worker')",
        "ALTER TABLE transactions DISABLE TRIGGER ALL",
        "ALTER TABLE transactions ADD COLUMN mine text",
        "DROP TABLE transactions",
        "DROP TRIGGER transactions_immutable ON transactions",
        "CREATE TABLE mine (id integer)",
        "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE TRIGGER mine BEFORE INSERT ON transactions EXECUTE FUNCTION refuse_change()",
        "ALTER FUNCTION refuse_change() OWNER TO CURRENT_USER",
        "SET session_replication_role = replica",
        "SELECT setval('outbox_position_seq', 1)",
        "CREATE SCHEMA mine",
    ]
    refused += [f"TRUNCATE {table} CASCADE" for (table,) in stage.query(TABLES)]
    with closing(stage.servers.database(stage.worker_database_url)) as database, database.cursor() as cursor:
        for statement in refused:
            with pytest.raises(InsufficientPrivilege):
                cursor.execute(statement)
                pytest.fail(f"the worker's role may {statement}")
        # Nor does it get round a guard by a table of its own, put before the one that the guard looks at.
        cursor.execute("CREATE TEMPORARY TABLE customers AS SELECT gen_random_uuid() AS customer_id")
        cursor.execute("SET search_path = pg_temp, public")
        with pytest.raises(psycopg2.errors.ForeignKeyViolation, match="whom there isn't"):
            cursor.execute(
                "INSERT INTO subscriptions (customer_id, subscription_id, product, term, state, original_start, period_index,"
                " period_start, period_end, auto_renewal, due_at, anchor_index, anchor_start)"
                " SELECT customer_id, gen_random_uuid(), 'enterprise-pki', 'P1Y', 'active', '2026-01-01', 0, '2026-01-01',"
                " '2027-01-01', true, now(), 0, '2026-01-01' FROM pg_temp.customers")
    done = stage.command_line("catalog", "apply", another_catalog(stage), expect=78, DATABASE_URL=stage.worker_database_url)
    assert "permission denied" in done.stderr and "the one that owns the tables" in done.stderr
    stage.command_line("audit")


def test_the_owner_cannot_empty_a_table_by_mistake_nor_a_month_that_a_worker_made(stage, books):
    execute(stage, stage.worker_database_url, "SELECT make_inbox_month('2030-05-01')")
    tables = [table for (table,) in stage.query(TABLES)]
    assert "inbox_2030_05" in tables and "transactions" in tables
    with closing(stage.servers.database(stage.database_url)) as database, database.cursor() as cursor:
        for table in tables:
            with pytest.raises(psycopg2.errors.IntegrityError, match="is never emptied"):
                cursor.execute(f"TRUNCATE {table} CASCADE")
                pytest.fail(f"{table} can be emptied")
    stage.command_line("audit")


def test_a_reader_reports_audits_and_looks_and_changes_nothing(stage, books):
    reader = {"DATABASE_URL": stage.reader_database_url, "AMQP_URL": with_path(
        stage.servers.urls["READER_AMQP_URL"], stage.name),
        "RABBITMQ_MANAGEMENT_URL": stage.servers.urls["READER_MANAGEMENT_URL"]}
    for report in ("transactions", "invoices", "subscriptions"):
        assert "acme" in stage.command_line("report", report, **reader).stdout
    stage.command_line("report", "upcoming", "--to", "2099-12-31", **reader)
    stage.command_line("audit", **reader)
    stage.command_line("audit", "--replay", **reader)
    assert "No event waits" in stage.command_line("outbox", **reader).stdout
    stage.command_line("migrate", "--status", **reader)
    done = stage.command_line("doctor", **reader)
    assert "has a reader's, and no more" in done.stdout and "every partition has a worker" in done.stdout

    # There is no right to look at a dead letter without taking it.
    assert "no dead letters" in stage.command_line("deadletters", "list", **reader).stdout
    with channel_of(stage.admin_url) as channel:
        channel.basic_publish("", "orders.dead", b"{", pika.BasicProperties(delivery_mode=2))
    wait_until(lambda: stage.queue_depths()["orders.dead"] == 1, 60, "a dead letter is there")
    for arguments in ["catalog", "apply", another_catalog(stage)], ["outbox", "release"], ["topology", "apply"], ["deadletters", "list"]:
        refused = stage.command_line(*arguments, expect=78, **reader)
        assert re.search("permission denied|ACCESS_REFUSED|refused", refused.stderr), refused.stderr
    with closing(stage.servers.database(stage.reader_database_url)) as database, database.cursor() as cursor:
        for statement in (
            "INSERT INTO topology (partitions) VALUES (1)", "DELETE FROM outbox", "UPDATE customers SET company_name = ''",
            "UPDATE topology SET partitions = 1", "SELECT make_inbox_month('2030-05-01')", "SELECT drop_inbox_months(now())",
            "TRUNCATE outbox", "CREATE TABLE mine (id integer)",
        ):
            with pytest.raises(InsufficientPrivilege):
                cursor.execute(statement)
                pytest.fail(f"a reader may {statement}")


def test_migrate_gives_a_role_its_rights_remembers_it_and_refuses_one_that_nothing_limits(stage):
    with role_of_its_own(stage) as (role, url):
        assert "denied" in stage.command_line("report", "invoices", expect=78, DATABASE_URL=url).stderr
        assert f"{role} has a worker's rights" in stage.command_line("migrate", "--grant-worker", role).stdout
        stage.command_line("doctor", DATABASE_URL=url)
        stage.start_worker(DATABASE_URL=url).wait_until_ready()
        # Later migrations bring tables, so each time all that was given is looked at.
        execute(stage, stage.database_url, f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}",
                f"GRANT TRUNCATE ON transactions TO {role}")
        assert f"{role} has a worker's rights (" in stage.command_line("migrate").stdout
        stage.command_line("doctor", DATABASE_URL=url)
        assert f"{role} has a worker's rights (as before)" in stage.command_line("migrate").stdout
        # Another purpose takes what it doesn't need.
        stage.command_line("migrate", "--grant-reader", role)
        stage.command_line("doctor", expect=1, DATABASE_URL=url)  # with a worker's account of the broker
        with pytest.raises(InsufficientPrivilege):
            execute(stage, url, "DELETE FROM outbox")
    stage.command_line("migrate")  # the role is gone
    assert stage.query("SELECT count(*) FROM granted_roles WHERE role_name LIKE 'test%%'") == [(0,)]
    for unfit, word in ("nobody-of-that-name", "no role"), ("postgres", "superuser"), ("order_worker", "owns the tables"):
        assert word in stage.command_line("migrate", "--grant-worker", unfit, expect=78).stderr


def test_doctor_names_each_right_that_is_missing_or_too_wide_with_the_statement_that_mends_it(stage):
    with role_of_its_own(stage) as (role, url):
        stage.command_line("migrate", "--grant-worker", role)
        stage.command_line("doctor", DATABASE_URL=url)
        execute(
            stage, administrator(stage),
            f"REVOKE INSERT, SELECT ON transactions FROM {role}", f"REVOKE DELETE ON outbox FROM {role}",
            "REVOKE EXECUTE ON FUNCTION drop_inbox_months(timestamptz) FROM PUBLIC",
            f"GRANT DELETE, TRUNCATE, TRIGGER ON transactions TO {role}", "GRANT UPDATE ON inbox_default TO PUBLIC",
            "GRANT CREATE ON SCHEMA public TO PUBLIC", f"GRANT CREATE ON DATABASE {stage.name} TO {role}",
            f"GRANT UPDATE ON SEQUENCE outbox_position_seq TO {role}", f"ALTER ROLE {role} CREATEDB",
            f"GRANT pg_write_server_files TO {role}",
        )
        found = stage.command_line("doctor", expect=1, DATABASE_URL=url).stdout
        for words in (
            "lacks SELECT, INSERT on transactions", "lacks DELETE on outbox", "lacks EXECUTE on the function drop_inbox",
            "has DELETE, TRUNCATE, TRIGGER on transactions", "has UPDATE on inbox_default by way of PUBLIC",
            "has CREATE on the schema public by way of PUBLIC", f"has CREATE on the database {stage.name}",
            "has UPDATE on the sequence outbox_position_seq", "has CREATEDB", "is a member of pg_write_server_files",
        ):
            assert words in found, found
        execute(stage, administrator(stage), *mends(found))
        stage.command_line("doctor", DATABASE_URL=url)


def test_an_installation_with_one_role_goes_on_working_and_doctor_says_what_that_means(stage, listener, publisher):
    done = stage.command_line("doctor", DATABASE_URL=stage.database_url)
    assert "owns the tables: it may alter and drop them; to mend it" in done.stdout
    stage.start_worker(DATABASE_URL=stage.database_url).wait_until_ready()
    publisher.command(create_customer(customer := new_id()))
    assert listener.event("customer.created", customer)
    assert "is a superuser" in stage.command_line("doctor", DATABASE_URL=administrator(stage)).stdout


# ---- Rolling upgrades


def later_migration(stage, oldest_program: int, *statements: str) -> None:
    """Applies a migration that this program doesn't have, as a later one would."""
    execute(
        stage, stage.database_url, "BEGIN", *statements,
        "INSERT INTO schema_migrations (version, name, checksum, oldest_program) VALUES"
        f" ((SELECT max(version) + 1 FROM schema_migrations), 'of later', '', {oldest_program})", "COMMIT")


def test_an_old_worker_goes_on_through_a_compatible_migration_and_is_refused_in_words_by_another(
    stage, listener, publisher
):
    worker = stage.start_worker().wait_until_ready()
    [(own,)] = stage.query("SELECT max(version) FROM schema_migrations")
    later_migration(stage, own, "ALTER TABLE customers ADD COLUMN nickname text", "CREATE TABLE nicknames (id integer)")
    for _ in range(2):
        publisher.command(create_customer(customer := new_id()))
        publisher.command(order(customer, subscription({"ov-ssl": 1})))
        assert listener.event("subscription.ordered", customer)
        assert worker.running
        # One that starts now doesn't mind either.
        worker.terminate()
        assert worker.wait(30) == 0
        worker = stage.start_worker().wait_until_ready()
    newer = f"at {own + 1}, newer than this program's {own}"
    assert newer in stage.command_line("doctor").stdout
    assert newer.replace("at", "at version") in stage.command_line("migrate").stdout
    stage.command_line("migrate", "--status")

    later_migration(stage, own + 2)
    assert worker.wait(60) == 78
    again = stage.command_line("run", expect=78)
    words = f"{own + 2} of later, which needs a program at {own + 2} or later; this one is at {own}"
    for said in worker.tail(), again.stdout + again.stderr, stage.command_line("migrate", expect=78).stderr:
        assert words in said, said
    assert words in stage.command_line("doctor", expect=1).stdout
    stage.command_line("migrate", "--status", expect=1)


# ---- The broker


def test_each_account_of_the_broker_may_do_what_it_needs_and_no_more(stage):
    """The accounts of deploy/local, by what the broker answers."""
    def refused(url: str, deed) -> None:
        with channel_of(url) as channel, pytest.raises(ChannelClosedByBroker) as answer:
            deed(channel)
        assert answer.value.reply_code == 403

    reader = with_path(stage.servers.urls["READER_AMQP_URL"], stage.name)
    with channel_of(stage.admin_url) as channel:
        channel.queue_declare("events.billing", durable=True)
        channel.queue_declare("replies.other.1", durable=True)
    message = pika.BasicProperties(delivery_mode=2)

    def publish(exchange: str, key: str = "x"):
        def deed(channel):
            channel.confirm_delivery()
            channel.basic_publish(exchange, key, b"{", message)
        return deed

    for url in stage.amqp_url, reader, stage.publisher_url:
        refused(url, lambda channel: channel.basic_get("events.billing"))
        refused(url, lambda channel: channel.queue_declare("mine"))
        refused(url, lambda channel: channel.queue_delete("events.billing"))
    refused(stage.amqp_url, lambda channel: channel.queue_bind("events.billing", "orders"))
    refused(stage.amqp_url, lambda channel: channel.queue_declare("replies.other.1", durable=True))
    for url in reader, stage.publisher_url, stage.consumer_url:
        refused(url, publish("order.events"))
        refused(url, publish("", "orders.00"))
        refused(url, lambda channel: channel.basic_get("orders.dead"))
        refused(url, lambda channel: channel.queue_purge("orders.dead"))
        refused(url, lambda channel: channel.queue_delete("orders.00"))
        refused(url, lambda channel: channel.exchange_delete("orders"))
    refused(reader, publish("orders"))
    refused(stage.consumer_url, publish("orders"))
    refused(stage.publisher_url, lambda channel: channel.basic_get("replies.other.1"))
    refused(stage.publisher_url, lambda channel: channel.queue_bind("events.billing", "order.events"))
    with channel_of(reader) as channel:  # how much waits is for it to see
        assert channel.queue_declare("orders.dead", passive=True).method.message_count == 0


def set_permission(stage, user: str, configure: str, write: str, read: str) -> None:
    stage.servers.management(
        "PUT", f"permissions/{stage.name}/{user}", {"configure": configure, "write": write, "read": read})


def test_doctor_names_rights_of_the_brokers_accounts_that_are_too_wide(stage):
    assert "none of the worker's and the publishers' may do too much" in stage.command_line("doctor").stdout
    limited = {"RABBITMQ_MANAGEMENT_URL": stage.servers.urls["READER_MANAGEMENT_URL"]}
    assert "worker may do nothing with others' queues" in stage.command_line("doctor", **limited).stdout

    set_permission(stage, "worker", ".*", ".*", ".*")
    set_permission(stage, "publisher", r"^replies\..*$", "^(orders|order.events)$", r"^replies\..*$")
    set_permission(stage, "consumer", "^events", "^events", "^(events|order.events|orders.dead)")
    found = stage.command_line("doctor", expect=1).stdout
    for words in (
        "the account worker may configure anybody's queue", "the account worker may write anybody's queue",
        "the account worker may read anybody's queue", "the account publisher may configure replies.",
        "the account publisher may write order.events", "the account publisher may read replies.",
        "note    accounts         the account consumer may read orders.dead",
    ):
        assert words in found, found
    # Without an administrator's account what this one may do is found by trying.
    for environment in limited, {"RABBITMQ_MANAGEMENT_URL": ""}:
        tried = stage.command_line("doctor", expect=1, **environment).stdout
        for deed in "configure", "write", "read":
            assert f"the account worker may {deed} anybody's queue" in tried, tried
    for command in sorted(set(mends(found))):  # as they are printed
        subprocess.run(
            [os.environ["RABBITMQCTL"], *shlex.split(command.removeprefix("rabbitmqctl"))],
            check=True, capture_output=True, timeout=60)
    stage.command_line("doctor")

    # An account of a partner's that may publish under anybody's name.
    user = stage.catalog.partners["nordwind"]["publishers"][0]
    stage.publisher_for("nordwind")
    stage.command_line("doctor")
    stage.servers.management("PUT", f"users/{user}", {"password": secrets.token_hex(16), "tags": "impersonator"})
    assert f"the account {user} is impersonator of the broker" in stage.command_line("doctor", expect=1).stdout
