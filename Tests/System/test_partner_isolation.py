"""A partner's publisher can neither touch nor learn anything of another partner's customers, whatever it sends.

Acme has customers with subscriptions, transactions and invoices. Nordwind, with valid credentials of its own, sends
every command about them in every way it can, and beside each the same command with ids that don't exist anywhere.
Whether they exist mustn't make a difference: the two answers have to be alike, and acme's rows untouched.
"""

import copy
import json
import re
import time
import uuid
from dataclasses import dataclass, field

import pika
import pytest
from pika.exceptions import ChannelClosedByBroker

from order_client import SOURCE, Command, Event, Listener, Publisher, create_customer, new_id, order, subscription

INTRUDER = "nordwind"
INTRUDERS_SOURCE = "https://nordwind.example/orders"
COMMANDS = ["customer.create", "customer.update", "subscription.order", "inventory.add", "renewal-inventory.set",
            "auto-renewal.set", "subscription.suspend", "subscription.enable", "refund.process"]
QUOTES = ["subscription.order", "inventory.add", "refund.process"]
# Of a customer with these, no word may come back.
SECRETS = ["Zebra & Quagga", "Xylophone Street", "Quincy", "zebra-pki@quagga.example", "r-west", "Pacific", "quarrel",
           "42017"]


def ask(publisher, listener, command: Command, mode="structured", **properties) -> Event:
    correlation = new_id()
    publisher.command(command, mode, reply_to=listener.reply_queue, correlation_id=correlation, **properties)
    return listener.reply(correlation)


@dataclass
class Belongings:
    """What commands can name of a customer."""

    customer: str = field(default_factory=new_id)
    subscription: str = field(default_factory=new_id)
    suspended: str = field(default_factory=new_id)
    transaction: str = field(default_factory=new_id)
    reseller: str = "r-nowhere"

    def data(self, type: str) -> dict:
        """A command on it that would be accepted if it were the publisher's."""
        customer = {"customerId": self.customer}
        one = {**customer, "subscriptionId": self.suspended if type == "subscription.enable" else self.subscription}
        some = [{"certificateType": "ov-ssl", "quantity": 1}]
        return {
            "customer.create": {**create_customer(self.customer, "Intruder GmbH").data},
            "customer.update": {**customer, "companyName": "Intruder GmbH"},
            "subscription.order": order(self.customer, subscription({"ov-ssl": 1})).data,
            "inventory.add": {**one, "inventory": some},
            "renewal-inventory.set": {**one, "renewalInventory": some},
            "auto-renewal.set": {**one, "autoRenewal": False},
            "subscription.suspend": {**one, "reason": "intruder"},
            "subscription.enable": one,
            "refund.process": {**customer, "refunds": [{"transactionId": self.transaction, "quantity": 1}]},
        }[type]

    def replaced(self, data: dict, others: "Belongings") -> dict:
        """The data with the ids of others in place of these."""
        text = json.dumps(data)
        for name in ("customer", "subscription", "suspended", "transaction"):
            text = text.replace(getattr(self, name), getattr(others, name))
        return json.loads(text)

    def commands(self) -> list[Command]:
        made = [Command(type, self.data(type), source=INTRUDERS_SOURCE) for type in COMMANDS]
        quotes = [Command(type, {**self.data(type), "quoteOnly": True}, source=INTRUDERS_SOURCE) for type in QUOTES]
        return made + quotes


class Owner:
    """Acme, with a customer that has something of everything."""

    def __init__(self, stage, listener, publisher):
        self.stage = stage
        self.listener = listener
        self.publisher = publisher
        self.own = Belongings(reseller="r-west")
        self.other = Belongings()
        self.sent: list[Command] = []
        self.last: Event | None = None
        self._buy()

    def ask(self, type: str, data: dict) -> Event:
        command = Command(type, data)
        self.sent.append(command)
        event = ask(self.publisher, self.listener, command)
        assert event.type != "command.rejected", event.data
        self.last = event
        return event

    def _buy(self):
        own, other = self.own, self.other
        address = {"line1": "1 Xylophone Street", "city": "Quincy", "postalCode": "42017", "stateOrProvince": "MA",
                   "country": "US"}
        self.ask("customer.create", create_customer(
            own.customer, "Zebra & Quagga Ltd", address=address, resellerId="r-west",
            administrativeResponsibility="customerAdministered", customerAdminEmail="zebra-pki@quagga.example").data)
        self.ask("customer.create", create_customer(other.customer, "Zebra & Quagga Two").data)
        bought = [{**subscription({"ov-ssl": 17, "ev-ssl": 3}, "P2Y"), "subscriptionId": own.subscription},
                  {**subscription({"smime": 9}), "subscriptionId": own.suspended}]
        ordered = self.ask("subscription.order", order(own.customer, *bought).data)
        own.transaction = ordered.data["transactions"][0]["transactionId"]
        theirs = {**subscription({"dv-ssl": 5}), "subscriptionId": other.subscription}
        self.ask("subscription.order", order(other.customer, theirs).data)
        for type in ("inventory.add", "renewal-inventory.set", "refund.process"):
            self.ask(type, own.data(type))
        self.ask("auto-renewal.set", {**own.data("auto-renewal.set"), "autoRenewal": True})
        suspended = {**own.data("subscription.suspend"), "subscriptionId": own.suspended, "reason": "quarrel"}
        self.ask("subscription.suspend", suspended)
        self.ask("customer.update", {"customerId": own.customer, "companyName": "Zebra & Quagga Inc."})

    @property
    def customers(self) -> list[str]:
        return [self.own.customer, self.other.customer]

    def rows(self) -> dict[str, list]:
        """Every row of acme's in every table, with the transaction that wrote it; of tables without customers, all."""
        limit = time.monotonic() + 20
        while self.stage.query("SELECT count(*) FROM outbox") != [(0,)]:  # what is published is removed soon after
            assert time.monotonic() < limit, "the outbox isn't cleared"
            time.sleep(0.02)
        tables = self.stage.query(
            "SELECT c.relname, array_agg(a.attname::text) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
            " WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace GROUP BY c.relname")
        dump = {}
        for table, columns in tables:
            if "sender" in columns:  # the inbox, which also keeps what others sent about the customer
                mine, values = "WHERE sender = 'acme'", ()
            elif "customer_id" in columns:
                mine, values = "WHERE customer_id = ANY(%s::uuid[])", (self.customers,)
            else:
                mine, values = "", ()
            dump[table] = self.stage.query(f"SELECT t::text, xmin::text FROM {table} t {mine} ORDER BY 1", *values)
        assert all(dump[table] for table in ("customers", "subscriptions", "inventory", "transactions", "invoices"))
        return dump

    def ids(self) -> set[str]:
        """Every id that the database knows of acme's customers."""
        text = " ".join(text for rows in self.rows().values() for text, _ in rows)
        found = set(re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", text))
        assert {self.own.customer, self.own.subscription, self.own.transaction, self.other.customer} <= found
        return found


@pytest.fixture(scope="module")
def owner(running, shared_listener):
    with Publisher(running.publisher_url) as publisher:
        yield Owner(running, shared_listener, publisher)


@pytest.fixture(scope="module")
def intruder(running):
    with Publisher(running.publisher_for(INTRUDER)) as publisher:
        yield publisher


@pytest.fixture(scope="module")
def intruders_listener(running):
    """Where nordwind's outcomes go."""
    with Listener(running.consumer_url) as listener:
        yield listener
        assert not listener.unreadable()


@pytest.fixture
def untouched(owner, running):
    """Holds acme's rows before a test against those after it, and has acme go on afterwards."""
    replies = {correlation: len(events) for correlation, events in owner.listener.replies.items()}
    before, last = owner.rows(), owner.last.data["sequence"]
    yield
    for table, rows in owner.rows().items():
        assert rows == before[table], f"rows of {table} changed"
    assert {name: len(events) for name, events in owner.listener.replies.items()} == replies, "acme got other replies"
    # No sequence number was used up, and none of acme's consumers can have seen a gap.
    assert owner.ask("customer.update", owner.own.data("customer.update") | {"companyName": "Zebra & Quagga Inc."})
    assert owner.last.data["sequence"] == last + 1
    owner.listener.wait(lambda: owner.last.id in owner.listener.event_ids, 20, "acme's event")
    sequences = [event.data["sequence"] for event in owner.listener.events
                 if event.data["customerId"] == owner.own.customer and event.data["sequence"] > 0]
    assert sequences == list(range(1, last + 2))
    running.command_line("audit")


def shape(event: Event, command: Command, names: Belongings) -> dict:
    """All of an outcome, with what has to differ (ids that were sent, the event's own id and time) made the same."""
    text = json.dumps([event.data, event.attributes, sorted(event.properties.headers)])
    for name, value in {**vars(names), "command": command.id}.items():
        text = text.replace(value, f"<{name}>")
    data, attributes, headers = json.loads(text)
    assert uuid.UUID(attributes.pop("id")) and attributes.pop("time")
    properties = {name for name, value in vars(event.properties).items() if value is not None}
    return {"type": event.type, "data": data, "attributes": attributes, "headers": headers, "properties": properties}


def try_both(
    owner, intruder, listener, change=lambda command: None, mode="structured", commands=Belongings.commands, **how
):
    """Sends commands about acme's customer and about nobody's, and holds the answers against each other.

    `change` makes the command what is to be tried. Gives the answers about acme's customer.
    """

    def send(command: Command) -> str:
        change(command)
        correlation = new_id()
        body, properties = command.message(
            mode, **{"user": INTRUDER, **how}, reply_to=listener.reply_queue, correlation_id=correlation)
        intruder.send(body, properties, command.customer)
        return correlation

    def answer_to(command: Command, correlation: str) -> Event:
        if how.get("user", INTRUDER) is not None:
            answer = listener.reply(correlation)
            assert len(listener.replies[correlation]) == 1
            return answer
        # Nobody's queue is nobody's: the refusal goes to all.
        refusals = lambda: [event for event in listener.events if event.data.get("command", {}).get("id") == command.id]
        return listener.wait(refusals, 30, f"the refusal of {command}")[0]

    tried = []
    for number, command in enumerate(commands(owner.own)):
        nobody = Belongings()  # another each time: its creation is accepted
        likewise = list(commands(nobody))[number]
        tried.append((command, send(command), nobody, likewise, send(likewise)))
    answers = []
    known = owner.ids()
    for command, correlation, nobody, likewise, other in tried:
        answer, expected = answer_to(command, correlation), answer_to(likewise, other)
        check_silence(known, command, answer)
        if command.type == "customer.create" and answer.data["code"] == "customer_exists":
            # That an id is taken can't be hidden from who wants to use it; whose it is and what for can.
            assert expected.type == "customer.created" or expected.data["code"] == "reseller_unknown"
            assert answer.data["message"] == "This customer id can't be used."
            assert len(answer.data["violations"]) == 1
        else:
            assert expected.type == "command.rejected"
            assert shape(answer, command, owner.own) == shape(expected, likewise, nobody), command
        answers.append(answer)
    assert {answer.type for answer in answers} == {"command.rejected"}
    return answers


def check_silence(known: set[str], command: Command, answer: Event) -> None:
    """Nothing in an answer is acme's, of which `known` are the ids, but what the intruder itself said."""
    said = json.dumps(command.envelope())
    told = json.dumps([answer.data, answer.attributes, str(answer.properties)], ensure_ascii=False)
    leaked = [secret for secret in [*SECRETS, *known] if secret in told and secret not in said]
    assert not leaked, f"{leaked} in {told}"
    assert set(answer.data) == {"customerId", "sequence", "code", "message", "violations", "command"}
    assert answer.data["sequence"] == 0
    assert answer.data["command"] == {"id": command.id, "source": command.source, "type": command.type}


@pytest.mark.parametrize("mode", ["structured", "plain", "cloudEvents:", "cloudEvents_"])
def test_every_command_with_anothers_ids_and_routing_key(mode, owner, intruder, intruders_listener, untouched):
    answers = try_both(owner, intruder, intruders_listener, mode=mode)
    codes = [answer.data["code"] for answer in answers]
    assert codes == ["customer_exists"] + ["customer_unknown"] * (len(COMMANDS) + len(QUOTES) - 1)


def test_every_command_with_a_forged_partner(owner, intruder, intruders_listener, untouched):
    def forge(command):
        command.data["partnerId"] = "acme"

    answers = try_both(owner, intruder, intruders_listener, forge)
    assert {answer.data["code"] for answer in answers} == {"publisher_unknown"}


@pytest.mark.parametrize("name", ["partner", "partner_id", "PartnerId", "publisher", "userId"])
def test_every_command_with_a_partner_where_no_schema_has_one(name, owner, intruder, intruders_listener, untouched):
    def forge(command):
        command.data[name] = "acme"

    answers = try_both(owner, intruder, intruders_listener, forge)
    assert {answer.data["code"] for answer in answers} == {"schema_violation"}


@pytest.mark.parametrize("mode", ["plain", "cloudEvents:"])
def test_every_command_with_headers_that_claim_to_be_another(mode, owner, intruder, intruders_listener, untouched):
    headers = {"x-order-worker-user": "publisher", "x-order-worker-attempts": 0, "cloudEvents:partnerid": "acme",
               "cloudEvents:userid": "publisher", "user_id": "publisher", "user-id": "publisher"}
    answers = try_both(owner, intruder, intruders_listener, mode=mode, headers=headers)
    assert {answer.data["code"] for answer in answers} == {"customer_exists", "customer_unknown"}


def test_every_command_under_anothers_source_and_command_ids(owner, intruder, intruders_listener, untouched):
    used = iter([command.id for command in owner.sent] * 10)
    seen = set()

    def forge(command):
        command.source = SOURCE
        if command.customer == owner.own.customer:
            # Each id once: a second command under it would be nordwind's own reuse.
            command.id = next(id for id in used if id not in seen) if len(seen) < len(owner.sent) else new_id()
            seen.add(command.id)

    answers = try_both(owner, intruder, intruders_listener, forge)
    assert {answer.data["code"] for answer in answers} == {"customer_exists", "customer_unknown"}


@pytest.mark.parametrize("mode", ["structured", "plain"])
def test_every_command_without_a_user(mode, owner, intruder, intruders_listener, untouched):
    answers = try_both(owner, intruder, intruders_listener, mode=mode, user=None)
    assert {answer.data["code"] for answer in answers} == {"publisher_unknown"}


@pytest.fixture
def replayed(owner):
    """Another customer of acme's, whose commands nobody has sent again yet."""
    return Owner(owner.stage, owner.listener, owner.publisher)


def test_a_replay_of_anothers_messages_gets_no_stored_outcome(owner, replayed, intruder, intruders_listener, untouched):
    before = replayed.rows()

    def again(names):
        for command in replayed.sent:
            if command.customer == replayed.own.customer:
                if names is replayed.own:
                    yield command
                else:
                    yield Command(command.type, replayed.own.replaced(command.data, names), time=command.time)

    answers = try_both(replayed, intruder, intruders_listener, commands=again)
    assert len(answers) > 7
    outcomes = {event.id for event in owner.listener.events if event.data["sequence"] > 0}
    assert not outcomes & {answer.id for answer in answers}
    assert replayed.rows() == before


def test_the_broker_lets_nobody_send_under_anothers_name(owner, intruder, running, untouched):
    commands = owner.own.commands()
    for command in commands:
        for user in ("publisher", "worker", "", "nobody"):
            body, properties = command.message(user=user)
            connection = pika.BlockingConnection(intruder.parameters)
            channel = connection.channel()
            channel.confirm_delivery()
            with pytest.raises(ChannelClosedByBroker) as refused:
                channel.basic_publish("orders", command.customer, body, properties, mandatory=True)
            assert refused.value.reply_code == 406
            connection.close()
    assert not running.query("SELECT 1 FROM inbox WHERE id = ANY(%s)", [command.id for command in commands])


def own_customer(intruder, listener) -> Belongings:
    """A customer of the intruder's own with a subscription."""
    names = Belongings()

    def send(command):
        event = ask(intruder, listener, command, user=INTRUDER)
        assert event.type != "command.rejected", event.data
        return event

    send(Command("customer.create", create_customer(names.customer, "Nordlicht AG").data, source=INTRUDERS_SOURCE))
    bought = [{**subscription({"ov-ssl": 5}), "subscriptionId": names.subscription}]
    ordered = send(Command("subscription.order", order(names.customer, *bought).data, source=INTRUDERS_SOURCE))
    names.transaction = ordered.data["transactions"][0]["transactionId"]
    return names


def test_own_customers_cannot_borrow_anothers_belongings(owner, intruder, intruders_listener, untouched):
    mine = own_customer(intruder, intruders_listener)
    # Ordering comes last: a subscription's id has to be new to its customer only, so that acme's is as good as any.
    for type in sorted(COMMANDS[1:], key=lambda type: type == "subscription.order"):
        outcomes = []
        for names in (owner.own, Belongings()):
            mixed = copy.copy(names)
            mixed.customer = mine.customer
            data = mixed.data(type)
            if type == "customer.update":
                data["resellerId"] = names.reseller
            if type == "subscription.order":
                data["subscriptions"][0]["subscriptionId"] = names.subscription
            command = Command(type, data, source=INTRUDERS_SOURCE)
            event = ask(intruder, intruders_listener, command, user=INTRUDER)
            text = json.dumps([event.type, {**event.data, "sequence": 0}])
            for name, value in {**vars(mixed), "command": command.id}.items():
                text = text.replace(value, f"<{name}>")
            if type == "subscription.order":
                assert event.type == "subscription.ordered"
                (made,) = event.data["transactions"]
                text = text.replace(made["transactionId"], "<made>").replace(made["at"], "<at>")
            else:
                assert event.type == "command.rejected"
            assert not [secret for secret in SECRETS if secret in json.dumps(event.data) and secret not in str(data)]
            outcomes.append(text)
        assert outcomes[0] == outcomes[1], type
    # The reseller of another partner is as unknown at the creation of a customer.
    codes = []
    for reseller in (owner.own.reseller, "r-nowhere"):
        command = create_customer(new_id(), resellerId=reseller)
        event = ask(intruder, intruders_listener, command, user=INTRUDER)
        codes.append(json.dumps([event.data["code"], event.data["message"]]).replace(reseller, "<reseller>"))
    assert codes[0] == codes[1] and "reseller_unknown" in codes[0]


def test_an_intruder_in_the_middle_of_the_owners_own_batch(stage, listener):
    user = "sakura"  # the broker's accounts are the same on every stage
    with Publisher(stage.publisher_url) as publisher, Publisher(stage.publisher_for(user)) as intruder:
        first = stage.start_worker().wait_until_ready()
        owner = Owner(stage, listener, publisher)
        known = owner.ids()
        first.terminate()
        assert first.wait(30) == 0
        last = owner.last.data["sequence"]
        # All of this waits in one queue when the next worker comes: it's decided together, on one state in memory.
        asked = []
        for number in range(10):
            changed = {"customerId": owner.own.customer, "companyName": f"Zebra & Quagga {number}"}
            mine = Command("customer.update", changed)
            publisher.command(mine, reply_to=listener.reply_queue, correlation_id=mine.id)
            asked.append(mine)
            for command in owner.own.commands():
                intruder.command(command, user=user, reply_to=listener.reply_queue, correlation_id=command.id)
                asked.append(command)
        stage.start_worker().wait_until_ready()
        sequences = []
        for command in asked:
            answer = listener.reply(command.id)
            if command.source == SOURCE:
                assert answer.data["companyName"] == command.data["companyName"]
                sequences.append(answer.data["sequence"])
            else:
                assert answer.data["code"] in ("customer_unknown", "customer_exists")
                check_silence(known, command, answer)
    assert sequences == list(range(last + 1, last + 11))
    assert stage.query("SELECT DISTINCT publisher FROM transactions") == [("publisher",)]
    stage.command_line("audit")


FORBIDDEN = {
    "read commands": lambda channel: channel.basic_get("orders.00"),
    "read dead letters": lambda channel: channel.basic_get("orders.dead"),
    "read others' replies": lambda channel: channel.basic_get("events.replies"),
    "have a queue": lambda channel: channel.queue_declare("", exclusive=True),
    "declare a queue": lambda channel: channel.queue_declare("orders.99", durable=True),
    "declare an exchange": lambda channel: channel.exchange_declare("orders.more"),
    "bind a queue": lambda channel: channel.queue_bind("orders.00", "order.events", "#"),
    "purge a queue": lambda channel: channel.queue_purge("orders.00"),
    "delete a queue": lambda channel: channel.queue_delete("orders.00"),
    "publish events": lambda channel: channel.basic_publish("order.events", "customer.created", b"{}"),
    "publish to a queue": lambda channel: channel.basic_publish("", "orders.00", b"{}"),
    "publish for another try": lambda channel: channel.basic_publish("orders.retry", "x", b"{}"),
}


@pytest.mark.parametrize("attempt", FORBIDDEN)
def test_a_publisher_may_publish_commands_and_nothing_else(attempt, running):
    connection = pika.BlockingConnection(pika.URLParameters(running.publisher_url))
    try:
        channel = connection.channel()
        channel.confirm_delivery()
        with pytest.raises(ChannelClosedByBroker) as refused:
            FORBIDDEN[attempt](channel)
        assert refused.value.reply_code == 403
    finally:
        connection.close()
