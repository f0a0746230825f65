"""What any client is promised: each way to send a command, each outcome, on order.events and through reply_to."""

import json
import os
import re
import subprocess
import sys
from datetime import timedelta

import pytest

from order_checks import assert_order_is_right, backdated
from order_client import SOURCE, Command, Publisher, create_customer, new_id, now, order, rfc3339, subscription
from order_stage import REPOSITORY, with_path


def ask(publisher, listener, command: Command, mode="structured", **properties):
    """Publishes a command with reply_to and gives its outcome."""
    correlation = new_id()
    publisher.command(command, mode, reply_to=listener.reply_queue, correlation_id=correlation, **properties)
    return listener.reply(correlation)


@pytest.mark.parametrize("mode", ["plain", "cloudEvents:", "cloudEvents_", "structured"])
def test_each_mode_creates_a_customer_and_orders(mode, running, shared_listener, shared_publisher):
    listener, publisher = shared_listener, shared_publisher
    customer = new_id()
    creation = create_customer(customer, "Müller & Søn “東京” 🏷", resellerId="r-east")
    created = ask(publisher, listener, creation, mode)
    assert created.type == "customer.created"
    assert created.data["customerId"] == customer
    assert created.data["companyName"] == creation.data["companyName"]
    assert created.data["address"] == creation.data["address"]
    assert created.data["resellerId"] == "r-east"
    assert created.data["administrativeResponsibility"] == "partnerAdministered"
    assert created.data["domainPrevalidation"] is False
    assert created.data.get("administrator") is None
    assert created.data["sequence"] == 1

    command = order(
        customer,
        subscription({"ov-ssl": 25, "ev-ssl": 5}, "P1Y", startDate=backdated(running, 10), autoRenewal=True),
        subscription({"device": 1200}, "P3Y", product="device-pki"),
    )
    ordered = ask(publisher, listener, command, mode)
    assert ordered.type == "subscription.ordered"
    total = assert_order_is_right(running, ordered, command)

    # The same events on order.events, with everything that a consumer relies on.
    for reply in (created, ordered):
        event = listener.event(reply.type, customer)
        assert event.id == reply.id and event.data == reply.data
        assert event.routing_key == event.type == event.properties.type
        assert event.properties.message_id == event.id
        assert event.properties.delivery_mode == 2
        assert event.properties.content_type == "application/json"
        assert event.attributes["specversion"] == "1.0"
        assert event.attributes["source"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", event.attributes["time"])
    invoice = listener.event("invoice.updated", customer)
    assert invoice.data["state"] == "open"
    assert invoice.data["version"] >= 1
    assert invoice.data["total"] == {"amount": total, "currency": "USD"}
    assert {line["transactionId"]: line["amount"]["amount"] for line in invoice.data["lines"]} == {
        made["transactionId"]: made["amount"]["amount"] for made in ordered.data["transactions"]
    }
    month = running.catalog.today("acme", command.time).replace(day=1)
    assert invoice.data["period"]["start"] == month.isoformat()
    assert sorted(event.data["sequence"] for event in listener.events if event.data.get("customerId") == customer) == [
        1,
        2,
        3,
    ]


def test_a_customer_administered_account_gets_its_first_administrator(running, shared_listener, shared_publisher):
    creation = create_customer(
        new_id(), administrativeResponsibility="customerAdministered", customerAdminEmail="pki@harbor.example"
    )
    created = ask(shared_publisher, shared_listener, creation)
    assert created.type == "customer.created"
    assert created.data["administrator"] == {"email": "pki@harbor.example"}
    assert created.data["domainPrevalidation"] is True


@pytest.mark.parametrize(
    "changes, code",
    [
        ({"customerAdminEmail": "pki@harbor.example"}, "customer_admin_email_not_allowed"),
        ({"administrativeResponsibility": "customerAdministered"}, "customer_admin_email_required"),
        ({"resellerId": "hanse"}, "reseller_unknown"),  # another partner's
    ],
)
def test_a_customer_that_breaks_a_rule_is_rejected_with_its_code(
    changes, code, running, shared_listener, shared_publisher
):
    command = create_customer(new_id(), **changes)
    rejected = ask(shared_publisher, shared_listener, command)
    assert rejected.type == "command.rejected"
    assert rejected.data["code"] == code
    assert rejected.data["message"]
    assert rejected.data["command"] == {"id": command.id, "source": SOURCE, "type": "customer.create"}
    assert not shared_listener.find("customer.created", command.customer)


def test_a_rejection_lists_every_violation_and_changes_nothing(running, shared_listener, shared_publisher):
    listener, publisher = shared_listener, shared_publisher
    customer = new_id()
    assert ask(publisher, listener, create_customer(customer)).type == "customer.created"
    command = order(
        customer,
        subscription({"ov-ssl": 1}, "P1M", startDate=backdated(running, 40)),
        subscription({"ov-ssl": 1}, "P1Y", startDate=backdated(running, -92)),
        subscription({"no-such-type": 1}),
        subscription({"ov-ssl": 1}, "P1Y", product="no-such-product"),
        subscription({"ov-ssl": 1}, "P7Y"),
        subscription({"ov-ssl": 7}),  # nothing wrong with this one
    )
    rejected = ask(publisher, listener, command)
    assert rejected.type == "command.rejected"
    violations = {violation["pointer"].split("/")[2]: violation["code"] for violation in rejected.data["violations"]}
    assert violations == {
        "0": "start_date_too_early",
        "1": "start_date_too_late",
        "2": "certificate_type_unknown",
        "3": "product_unknown",
        "4": "term_not_sold",
    }
    assert all(violation["message"] for violation in rejected.data["violations"])
    assert running.query("SELECT count(*) FROM subscriptions WHERE customer_id = %s", customer) == [(0,)]
    assert not listener.find("invoice.updated", customer)


def test_backdating_ends_one_day_before_the_term(running, shared_listener, shared_publisher):
    listener, publisher = shared_listener, shared_publisher
    customer = new_id()
    ask(publisher, listener, create_customer(customer))
    last_day = order(customer, subscription({"ov-ssl": 365}, "P365D", startDate=backdated(running, 364)))
    ordered = ask(publisher, listener, last_day)
    assert ordered.type == "subscription.ordered"
    assert_order_is_right(running, ordered, last_day)
    assert ordered.data["transactions"][0]["days"] == {"charged": 1, "term": 365}
    too_late = order(customer, subscription({"ov-ssl": 365}, "P365D", startDate=backdated(running, 365)))
    assert ask(publisher, listener, too_late).data["code"] == "start_date_too_early"


@pytest.mark.parametrize("partner", ["nordwind", "sakura", "gulf"])
def test_each_partner_is_charged_in_its_own_currency_and_day(partner, running, shared_listener):
    user = running.catalog.partners[partner]["publishers"][0]
    with Publisher(running.publisher_for(partner)) as publisher:
        customer = new_id()
        created = ask(publisher, shared_listener, create_customer(customer), user=user)
        assert created.type == "customer.created"
        command = order(
            customer,
            subscription({"ov-ssl": 7, "smime": 333}, "P1M", startDate=backdated(running, 13, partner)),
            subscription({"ev-ssl": 11}, "P2Y", startDate=backdated(running, 77, partner)),
        )
        ordered = ask(publisher, shared_listener, command, user=user)
        assert ordered.type == "subscription.ordered"
        total = assert_order_is_right(running, ordered, command, partner)
    invoice = shared_listener.event("invoice.updated", customer)
    assert invoice.data["total"] == {"amount": total, "currency": running.catalog.currency(partner)}


def test_a_missing_source_is_the_verified_user_and_a_missing_time_means_now(running, shared_listener, shared_publisher):
    listener, publisher = shared_listener, shared_publisher
    customer = new_id()
    command = create_customer(customer)
    body, properties = command.message("plain", reply_to=listener.reply_queue, correlation_id=command.id)
    properties.app_id = properties.timestamp = None
    before = now()
    publisher.send(body, properties, customer)
    assert listener.reply(command.id).type == "customer.created"
    (row,) = running.query("SELECT source, effective_at FROM inbox WHERE id = %s", command.id)
    assert row[0] == "publisher"
    assert before - timedelta(seconds=1) <= row[1] <= now()


def test_trace_context_is_carried_from_command_to_event(running, shared_listener, shared_publisher):
    trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "vendor=value"}
    customer = new_id()
    created = ask(shared_publisher, shared_listener, create_customer(customer), "cloudEvents:", headers=trace)
    for event in (created, shared_listener.event("customer.created", customer)):
        assert event.properties.headers["traceparent"].split("-")[1] == trace["traceparent"].split("-")[1]
        assert event.properties.headers["tracestate"] == trace["tracestate"]


def test_the_shell_tool_amqp_publish_can_order(stage, listener):
    # The tool can't set the user_id property: it needs the single-tenant setting, where the command names the partner.
    stage.start_worker(AUTHORIZATION="trusted").wait_until_ready()
    customer = new_id()
    creation = create_customer(customer, partnerId="acme")
    wanted = order(customer, subscription({"ov-ssl": 3}, "P2Y", startDate=backdated(stage, 99)))
    wanted.data["partnerId"] = "acme"
    outcomes = []
    for command in (creation, wanted):
        headers = {
            "cloudEvents_specversion": "1.0",
            "cloudEvents_id": command.id,
            "cloudEvents_source": command.source,
            "cloudEvents_type": command.type,
            "cloudEvents_time": rfc3339(command.time),
        }
        arguments = [argument for name, value in headers.items() for argument in ("--header", f"{name}: {value}")]
        subprocess.run(
            ["amqp-publish", f"--url={stage.publisher_url}", "--exchange=orders", f"--routing-key={customer}"]
            + ["--persistent", "--content-type=application/json", f"--reply-to={listener.reply_queue}", *arguments]
            + ["--body", json.dumps(command.data)],
            check=True,
            timeout=30,
        )
        outcomes.append(
            listener.event({"customer.create": "customer.created"}.get(command.type, "subscription.ordered"), customer)
        )
    total = assert_order_is_right(stage, outcomes[1], wanted)
    assert listener.event("invoice.updated", customer).data["total"]["amount"] == total
    # The replies came too; without a correlation id there.
    listener.wait(lambda: len(listener.replies[None]) == 2, 10, "two replies")
    assert [event.id for event in listener.replies[None]] == [event.id for event in outcomes]


def test_the_example_in_the_readme_works(running, shared_listener):
    blocks = re.findall(r"^```python\n(.*?)^```", (REPOSITORY / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert blocks, "the README has no Python example"
    known = {event.id for event in shared_listener.events}
    for block in blocks:
        done = subprocess.run(
            [sys.executable, "-c", block],
            env={
                **os.environ,
                "AMQP_URL": running.publisher_url,
                "PUBLISHER_AMQP_URL": running.publisher_url,
                "CONSUMER_AMQP_URL": running.consumer_url,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    shared_listener.wait(
        lambda: any(e.type == "customer.created" and e.id not in known for e in shared_listener.events),
        30,
        "a customer created by the README's example",
    )


def test_publish_prints_each_outcome_and_says_by_its_status_if_one_was_rejected(running, shared_listener):
    customer = new_id()
    accepted = [create_customer(customer), order(customer, subscription({"ov-ssl": 1}))]
    array = json.dumps([command.envelope() for command in accepted])
    environment = {"AMQP_URL": running.publisher_url}
    done = running.command_line("publish", "-", input=array, expect=0, **environment)
    assert len(done.stdout.splitlines()) == 2
    assert "customer.created" in done.stdout and "subscription.ordered" in done.stdout
    assert shared_listener.event("subscription.ordered", customer)

    # One object in a file, and JSON lines with an order that has to be refused.
    file = running.folder / "commands.json"
    file.write_text(json.dumps(order(customer, subscription({"dv-ssl": 1})).envelope(), indent=2))
    running.command_line("publish", str(file), expect=0, **environment)
    refused = [order(customer, subscription({"dv-ssl": 1})), order(customer, subscription({"dv-ssl": 1}, "P9Y"))]
    lines = "\n".join(json.dumps(command.envelope()) for command in refused)
    done = running.command_line("publish", "-", input=lines, expect=1, **environment)
    assert "term_not_sold" in done.stdout + done.stderr

    # No broker there is trouble (EX_UNAVAILABLE), not a rejection, and ends in bounded time.
    wrong = with_path("amqp://publisher:wrong@127.0.0.1:9", running.name)
    running.command_line("publish", str(file), expect=69, seconds=150, AMQP_URL=wrong)
