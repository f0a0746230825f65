"""Hostile messages of many kinds, each with what has to become of it.

None of them may change anything. What can't be read as a command has to be dead-lettered, what can but breaks a rule
rejected; where chance decides which of the two a message is, the package jsonschema says.
"""

import gzip
import json
import random
import uuid
from dataclasses import dataclass
from datetime import timedelta

import pika
from jsonschema import Draft202012Validator

from order_bulk import Message
from order_client import SOURCE, Command, create_customer, rfc3339
from order_documents import Generator, Refused, contract, read
from order_headers import Field, number, odd_headers, text
from order_stage import PARTITIONS, queue_of

SIZE_LIMIT = 262_144
OWN_QUEUES = [queue_of(number) for number in range(PARTITIONS)] + ["orders.dead", "orders.retry"]
PREFIXES = ("cloudEvents:", "cloudEvents_", "ce-")
UNREADABLE = frozenset({"malformed_message", "schema_violation"})
MALFORMED = frozenset({"malformed_message"})

# Fates: dead-lettered by the worker; by the worker or, if it expired before, by the broker; refused by a rule, which is
# kept in the inbox; refused because its id is another command's, which is kept nowhere.
DEAD, EXPIRED, REJECTED, REUSED = "dead", "expired", "rejected", "reused"


@dataclass
class Hostile(Message):
    """A hostile message and what has to become of it."""

    kind: str = ""
    fate: str = DEAD
    codes: frozenset = UNREADABLE
    mark: str = ""
    """Its correlation id begins with this, or its routing key is this."""
    command: Command | None = None
    """What it was made of, where it is still that command."""


@dataclass
class Target:
    """A customer that hostile commands are about."""

    customer: str
    exists: bool
    sent: list
    """The customer's own commands that were published before."""


def bad_texts(sound: bytes) -> list[bytes]:
    """JSON that is none in UTF-8, made of a sound object's."""
    inside = sound.index(b'":') + 1
    characters = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x00",
                  b"\\u0000", b"\\ud800", b"\\udc00\\ud800", b"\x1f", b"\\x41", b"\\u12", b"\xfc"]
    broken = [sound.replace(b'"customerId"', b'"customerId' + added + b'"') for added in characters]
    return broken + [
        b"\xef\xbb\xbf" + sound, sound.decode().encode("utf-16"), sound.decode().encode("utf-16-be"),
        sound.decode().encode("utf-32"), b"\x00" + sound, sound + b"\x00", sound + sound,
        sound[:inside] + sound[inside + 1 :],
        sound.replace(b'"', b"'"), sound[:-1] + b",}", b"// a comment\n" + sound, b"\x1f\x8b" + sound,
        b"[" + sound + b"]",
        json.dumps(sound.decode()).encode(), sound.replace(b"{", b"{ \xc2\xa0", 1),
    ]


def deep(chosen: random.Random) -> bytes:
    levels = chosen.choice((33, 100, 1_000, 20_000, 120_000))
    opening, closing = chosen.choice([(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")])
    levels = min(levels, (SIZE_LIMIT - 2_000) // len(opening + closing))
    return opening * levels + b"1" + (closing * levels if chosen.random() < 0.7 else b"")


BAD_NUMBERS = ["1e400", "-0", "-0.0", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "1000001",
               "1.5", "0", "-1", "NaN", "Infinity", "-Infinity", "1e-400", "0x10", "+1", "01", ".5", "5.", "1e", "--1",
               "1_000", "1E99999999999999999999", "9" * 10_000, '"5"', "true", "null", "[5]", "{}", "٣"]
BAD_VALUES = [None, True, 7, -1, 1.5, "", "x" * 300, "a\nb", "\u0085", [], {}, [[]], {"a": 1}, "null", "❌",
              "1900-02-29"]
BAD_IDS = ["x" * 201, "x" * 10_000, "a\nb", "\x1b[31m", "a\x7f", "\u009b2J", "\ufffd", "a\tb"]
BAD_TYPES = ["customer.explode", "customer.create.v2", "customer.create/2", "Customer.Create", "customer.created", "2",
             "customer.create ", "com.example.customer.create", "invoice.updated", "команда", "customer.ⅽreate"]
BAD_CONTENT_TYPES = ["text/html", "application/xml", "application/json; charset=utf-16", "json",
                     "image/png", "application/json;charset=iso-8859-1",
                     "application/cloudevents-batch+json", "x" * 255, b"\xff/json",
                     "application/cloudevents+avro", "application/cloudevents+json; charset=latin1"]
BAD_TIMES = ["yesterday", "2026-02-30T00:00:00Z", "2026-11-22", "2026-11-22T25:00:00Z", "1795383306",
             "2026-11-22T21:35:06", "+10000-01-01T00:00:00Z", "2026-11-22T21:35:06+99:00", "x" * 1_000]
# Others than these are refused; see kind_reply_to_own_queue.
OTHER_REPLY_QUEUES = [None, "a\x00", "replies.publisher.", "replies.publisher.no.such.queue", "replies.publisher." + "x" * 237]



class HostileGenerator:
    """Makes hostile messages; the same seed gives the same ones, but for their times."""

    COMMANDS = ["customer.create", "customer.update", "subscription.order", "inventory.add", "renewal-inventory.set",
                "auto-renewal.set", "subscription.suspend", "subscription.enable", "refund.process"]

    def __init__(self, seed: int, reply_queue: str, today):
        self.random = random.Random(seed)
        self.documents = Generator(seed)
        self.reply_queue = reply_queue
        self.today = today
        self.made = 0
        self.validators = {
            name: Draft202012Validator(json.loads(contract("schema", f"command.{name}"))) for name in self.COMMANDS
        }
        self.broken = list(self._broken_members())
        self.kinds = {name[5:].replace("_", " "): getattr(self, name) for name in dir(self) if name.startswith("kind_")}
        self.weights = [getattr(kind, "weight", 10) for kind in self.kinds.values()]

    def next(self, targets: list[Target]) -> Hostile:
        """A message that is about one of the targets or about a customer that doesn't exist."""
        name = self.random.choices(list(self.kinds), self.weights)[0]
        target = Target(self.id(), False, [])
        if targets and self.random.random() < 0.7:
            target = self.random.choice(targets)
        result = self.kinds[name](target)
        result.kind = name
        self.made += 1
        self._decorate(result)
        return result

    # What all are made of

    def id(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def data(self, type: str, customer: str) -> dict:
        """Data that the type's schema accepts, about ids that don't exist."""
        one = {"customerId": customer, "subscriptionId": self.id()}
        some = [{"certificateType": "ov-ssl", "quantity": self.random.randint(1, 9)}]
        ordered = {"subscriptionId": self.id(), "product": "enterprise-pki", "term": "P1Y", "inventory": some}
        return {
            "customer.create": lambda: create_customer(customer, "Hostile Ltd", resellerId="r-east").data,
            "customer.update": lambda: {"customerId": customer, "companyName": "Hostile Ltd"},
            "subscription.order": lambda: {"customerId": customer, "subscriptions": [ordered]},
            "inventory.add": lambda: {**one, "inventory": some},
            "renewal-inventory.set": lambda: {**one, "renewalInventory": some},
            "auto-renewal.set": lambda: {**one, "autoRenewal": True},
            "subscription.suspend": lambda: {**one, "reason": "hostile"},
            "subscription.enable": lambda: one,
            "refund.process": lambda: {
                "customerId": customer, "refunds": [{"transactionId": self.id(), "quantity": 1}]},
        }[type]()

    def command(self, target: Target, type: str | None = None, **changes) -> Command:
        """A command that could be accepted, or at least read."""
        type = type or self.random.choice(self.COMMANDS)
        return Command(type, {**self.data(type, target.customer), **changes}, self.id())

    def mode(self) -> str:
        return self.random.choice(("structured", "plain", *PREFIXES))

    def hostile(self, command: Command, mode: str | None = None, codes=UNREADABLE, fate=DEAD, body=None, **properties):
        """The command's message with another body or properties."""
        user = properties.pop("user", "publisher")
        sound, made = command.message(mode or self.mode(), user, **properties)
        content = sound if body is None else body(sound) if callable(body) else body
        return Hostile(command.customer, made, content, fate=fate, codes=frozenset(codes), command=command)

    def structured(self, command: Command, codes=UNREADABLE, **changes) -> Hostile:
        """A structured event with other attributes; an attribute that is ... is left out."""
        envelope = {name: value for name, value in {**command.envelope(), **changes}.items() if value is not ...}
        return self.hostile(command, "structured", codes, body=json.dumps(envelope).encode())

    def _decorate(self, hostile: Hostile):
        """Adds what changes nothing about the message's fate, and the mark."""
        properties = hostile.properties
        if hostile.mark:
            return
        hostile.mark = f"h{self.made:06}"
        filling = self.random.choice(["", "", "-" + "x" * 247, "-ä" * 20, b"-\xff\xfe" * 10])
        mark = hostile.mark.encode() if isinstance(filling, bytes) else hostile.mark
        properties.correlation_id = mark + filling
        if properties.reply_to is None:
            known = self.random.random() < 0.7
            properties.reply_to = self.reply_queue if known else self.random.choice(OTHER_REPLY_QUEUES)
        if hostile.fate != EXPIRED and self.random.random() < 0.6:
            properties.headers = {**odd_headers(self.random, OWN_QUEUES), **(properties.headers or {})}
        # From 5 on a message overtakes others on RabbitMQ 4, which its publisher may wish; it is no fault to look for.
        properties.priority = self.random.choice((None, None, 0, 4))
        properties.delivery_mode = self.random.choice((2, 2, 1, None))
        properties.cluster_id = self.random.choice((None, None, "x", b"\xff"))
        if properties.content_encoding is None:
            properties.content_encoding = self.random.choice((None, None, None, "utf-8", "identity", "UTF-8"))
        if properties.timestamp is not None and hostile.fate in (REJECTED, REUSED):
            properties.timestamp = self.random.choice((properties.timestamp, 0, 1, 2**31, 2**32, 253_402_300_799))

    def acceptable(self, type: str, body: bytes) -> bool:
        """Whether an independent reader finds that the body is data of this type."""
        try:
            return self.validators[type].is_valid(read(body.decode()))
        except (Refused, UnicodeDecodeError):
            return False

    # Bodies

    def kind_noise(self, target):
        mode, body = self.mode(), self.random.randbytes(self.random.choice((1, 2, 10, 100, 3_000)))
        return self.hostile(self.command(target), mode, UNREADABLE, body=body)

    def kind_empty(self, target):
        return self.hostile(self.command(target), body=b"")

    def kind_cut_off(self, target):
        return self.hostile(self.command(target), body=lambda sound: sound[: self.random.randrange(len(sound))])

    def kind_bits_flipped(self, target):
        while True:
            command = self.command(target)
            body = bytearray(json.dumps(command.data).encode())
            for _ in range(self.random.choice((1, 1, 2, 5))):
                body[self.random.randrange(len(body))] ^= 1 << self.random.randrange(8)
            if not self.acceptable(command.type, bytes(body)):
                return self.hostile(command, self.random.choice(("plain", *PREFIXES)), body=bytes(body))

    def kind_bad_text(self, target):
        return self.hostile(self.command(target), body=lambda sound: self.random.choice(bad_texts(sound)))

    def kind_deep(self, target):
        nesting = deep(self.random)
        if self.random.random() < 0.5:
            return self.hostile(self.command(target), body=nesting)
        return self.hostile(self.command(target), body=lambda sound: sound[:-1] + b', "extra": ' + nesting + b"}")

    kind_deep.weight = 4

    def kind_duplicate_member(self, target):
        again = self.random.choice([b'"customerId":"x"', b'"\\u0063ustomerId":null', b'"data":{}', b'"data":1'])
        name = again.split(b":")[0].replace(b"\\u0063", b"c")
        command = self.command(target)
        mode = "plain" if b"customer" in name else "structured"
        return self.hostile(command, mode, body=lambda sound: b"{" + again + b"," + sound[1:])

    def kind_bad_number(self, target):
        raw = self.random.choice(BAD_NUMBERS).encode()
        command = self.command(target, "inventory.add", inventory=[{"certificateType": "ov-ssl", "quantity": 987654}])
        return self.hostile(command, body=lambda sound: sound.replace(b"987654", raw))

    def kind_scalar(self, target):
        body = self.random.choice([b"null", b"true", b"7", b'"x"', b"[]", b"{}", b"[{}]", b'"{}"', b"-0", b" "])
        return self.hostile(self.command(target), body=body)

    def kind_data_of_another_kind(self, target):
        changes = [{"data": 7}, {"data": "{}"}, {"data": []}, {"data": None}, {"data": ...}, {"data_base64": "e30="},
                   {"data": ..., "data_base64": "not Base64"}, {"data": ..., "data_base64": "e30"},
                   {"data": ..., "data_base64": 7}, {"data": ..., "data_base64": "gICA"}]
        return self.structured(self.command(target), **self.random.choice(changes))

    def _broken_members(self):
        """Every member of every command with something else in its place, or left out, or beside it."""
        for type in self.COMMANDS:
            data = self.data(type, "018f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b10")
            for path in self.documents.places(data):
                changes = [lambda _, value=value: value for value in BAD_VALUES]
                changes.append(lambda value: {**value, "startdate": "x"} if isinstance(value, dict) else [value])
                changes.append(lambda value: value + value if isinstance(value, (str, list)) else {"value": value})
                for change in changes:
                    changed = self.documents.changed(data, path, change)
                    if not self.validators[type].is_valid(changed):
                        yield type, changed
                if path and isinstance(path[-1], str):
                    less = self.documents.changed(
                        data, path[:-1], lambda value: {name: value[name] for name in value if name != path[-1]})
                    if not self.validators[type].is_valid(less):
                        yield type, less

    def kind_broken_member(self, target):
        type, data = self.random.choice(self.broken)
        if isinstance(data, dict) and data.get("customerId") == "018f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b10":
            data = {**data, "customerId": target.customer}
        command = self.command(target, type)
        mode = self.mode()
        body = {**command.envelope(), "data": data} if mode == "structured" else data
        return self.hostile(command, mode, body=json.dumps(body).encode())

    kind_broken_member.weight = 40

    def kind_generated_document(self, target):
        while True:
            type = self.random.choice(self.COMMANDS)
            schema = self.validators[type].schema
            document = self.documents.json(self.documents.broken(self.documents.value(schema)))
            body = document.encode(errors="surrogatepass")
            if len(body) < SIZE_LIMIT and not self.acceptable(type, body):
                return self.hostile(self.command(target, type), self.random.choice(("plain", *PREFIXES)), body=body)

    kind_generated_document.weight = 40

    def kind_too_large(self, target):
        size = self.random.choice((SIZE_LIMIT + 1, SIZE_LIMIT + 1, 1_000_000))
        return self.hostile(
            self.command(target), codes={"message_too_large"}, body=lambda sound: sound + b" " * (size - len(sound)))

    kind_too_large.weight = 0.3

    def kind_as_large_as_may_be(self, target):
        result = self.kind_broken_rule(target)
        result.body += b" " * (SIZE_LIMIT - len(result.body))
        return result

    kind_as_large_as_may_be.weight = 0.3

    # Attributes

    def kind_bad_header(self, target):
        """An attribute's header that isn't a string."""
        mode = self.random.choice(PREFIXES)
        name = self.random.choice(("id", "source", "type", "time", "specversion", "datacontenttype"))
        values = [7, True, {}, {"a": 1}, [], ["x"], b"bytes", text(b"\xff\xfe"), number("d", "d", 1.0),
                  Field(b"D", bytes(5)), number("T", "Q", 2**64 - 1)]
        if name == "time":  # as a number it is in milliseconds
            values = values[1:] + [-1, 253_402_300_800_000, 2**63 - 1]
        return self.hostile(
            self.command(target), mode, MALFORMED, headers={mode + name: self.random.choice(values)})

    def kind_conflict(self, target):
        """Body, headers and properties that contradict each other."""
        command, other = self.command(target), self.id()
        later = rfc3339(command.time + timedelta(days=1))
        mode = self.mode()
        name, value = self.random.choice([("id", other), ("source", other), ("type", other), ("time", later)])
        places = [prefix for prefix in PREFIXES if prefix != mode]
        headers = {self.random.choice(places) + name: value}
        if mode == "structured" and self.random.random() < 0.5:
            headers = {prefix + name: value for prefix in PREFIXES}
        if mode != "plain" and self.random.random() < 0.4:
            property = {"id": "message_id", "source": "app_id", "type": "type", "time": "timestamp"}[name]
            changed = int(command.time.timestamp()) + 86_400 if name == "time" else value
            return self.hostile(command, mode, {"attribute_conflict"}, **{property: changed})
        return self.hostile(command, mode, {"attribute_conflict"}, headers=headers)

    def kind_specversion(self, target):
        version = self.random.choice(["0.3", "2.0", "1", "1.0 ", "", "1.0.0", "x" * 500])
        if self.random.random() < 0.5:
            return self.structured(
                self.command(target), MALFORMED, specversion=self.random.choice([version, ..., 1.0, None, {}]))
        prefix = self.random.choice(PREFIXES)
        return self.hostile(self.command(target), prefix, MALFORMED, headers={prefix + "specversion": version})

    def kind_attribute_name(self, target):
        name = self.random.choice(["Id", "customer-id", "", "ä", "a" * 300 + "A", "a b", "\x00"])
        return self.structured(self.command(target), MALFORMED, **{name: "x"})

    def kind_attribute_value(self, target):
        name = self.random.choice(["id", "source", "type", "time", "datacontenttype", "subject", "extension"])
        value = self.random.choice([{}, [], ["x"], 2**31, 1.5, {"a": None}])
        return self.structured(self.command(target), MALFORMED, **{name: value})

    def kind_content_type(self, target):
        if self.random.random() < 0.2:
            return self.structured(self.command(target), MALFORMED, datacontenttype="application/xml")
        chosen = self.random.choice(BAD_CONTENT_TYPES)
        mode = self.random.choice(("plain", *PREFIXES))
        return self.hostile(self.command(target), mode, MALFORMED, content_type=chosen)

    def kind_content_encoding(self, target):
        encoding = self.random.choice(["gzip", "GZIP", "deflate", "br", "utf-16", "x", "utf-8, gzip", "a\x00"])
        packed = self.random.random() < 0.5
        return self.hostile(
            self.command(target), codes=MALFORMED, content_encoding=encoding, body=gzip.compress if packed else None)

    def kind_bad_id(self, target):
        bad = self.random.choice(BAD_IDS)
        kind = self.random.randrange(3)
        if kind == 0:
            return self.structured(self.command(target), MALFORMED, **{self.random.choice(("id", "source")): bad})
        if kind == 1:
            prefix = self.random.choice(PREFIXES)
            name = self.random.choice(("id", "source", "type"))
            return self.hostile(self.command(target), prefix, MALFORMED, headers={prefix + name: bad})
        bad = self.random.choice(["x" * 255, "a\nb", "a\x00", b"\xff\xfe", b"\xed\xa0\x80", "\ufffd"])
        name = self.random.choice(("message_id", "app_id", "type"))
        return self.hostile(self.command(target), "plain", MALFORMED, **{name: bad})

    def kind_no_id(self, target):
        codes = {"id_missing"}
        if self.random.random() < 0.5:
            return self.hostile(self.command(target), "plain", codes, message_id=self.random.choice((None, "")))
        return self.structured(self.command(target), codes, id=self.random.choice((..., "", None)))

    def kind_no_type(self, target):
        if self.random.random() < 0.5:
            return self.hostile(self.command(target), "plain", MALFORMED, type=self.random.choice((None, "")))
        return self.structured(self.command(target), MALFORMED, type=self.random.choice((..., "", None)))

    def kind_unknown_type(self, target):
        command = self.command(target)
        command.type = self.random.choice(BAD_TYPES)
        return self.hostile(command, codes={"unknown_type"})

    def kind_bad_time(self, target):
        bad = self.random.choice(BAD_TIMES)
        kind = self.random.randrange(3)
        if kind == 0:
            return self.structured(self.command(target), MALFORMED, time=bad)
        if kind == 1:
            prefix = self.random.choice(PREFIXES)
            value = self.random.choice([bad, number("T", "Q", 2**63), number("T", "Q", 253_402_300_800)])
            return self.hostile(self.command(target), prefix, MALFORMED, headers={prefix + "time": value})
        late = self.random.choice((253_402_300_800, 2**63 - 1, 2**63, 2**64 - 1))
        return self.hostile(self.command(target), "plain", MALFORMED, timestamp=late)

    def kind_nothing_but_a_body(self, target):
        key = self.id()
        sound = json.dumps(self.data("customer.create", key)).encode()
        body = self.random.choice([b"", sound, self.random.randbytes(50)])
        return Hostile(key, pika.BasicProperties(), body, mark=key, codes=UNREADABLE | {"id_missing"})

    # Ways

    def kind_reply_to_own_queue(self, target):
        return self.hostile(
            self.command(target), codes={"reply_to_not_allowed"},
            reply_to=self.random.choice(
                OWN_QUEUES
                + ["orders", "orders.", "orders.99", "ordersX", "order.events", "amq.topic", "no.such.queue", "x" * 255]
                + ["replies", "replies.", "replies.publisher", "replies.somebody.else", b"\xff\xfe"]))

    def kind_routing_key(self, target):
        command = self.command(target)
        result = self.hostile(command, codes={"routing_key_mismatch"})
        result.routing_key = self.random.choice(
            [self.id(), "", "x" * 255, target.customer.upper(), target.customer + " ", "orders.00", "#",
             target.customer[:-1], "\x00" * 200, "ä" * 127, b"\xff\xfe"])
        return result

    def kind_expiring(self, target):
        result = self.kind_broken_member(target)
        result.fate = EXPIRED
        result.properties.expiration = self.random.choice(("0", "1", "50", "4294967295"))
        return result

    # Commands that can be read

    def kind_broken_rule(self, target):
        def ordered(**changes):
            items = [{"certificateType": "ov-ssl", "quantity": 2}]
            item = {"subscriptionId": self.id(), "product": "enterprise-pki", "term": "P1Y", "inventory": items}
            return "subscription.order", {"subscriptions": [{**item, **changes}]}

        def items(*pairs):
            return [{"certificateType": name, "quantity": quantity} for name, quantity in pairs]

        twice, days = self.id(), lambda count: (self.today + timedelta(days=count)).isoformat()
        rules = {
            "customer_exists": ("customer.create", {}),
            "reseller_unknown": ("customer.update", {"resellerId": self.random.choice(("hanse", "kansai", "r-north"))}),
            "administrative_responsibility_immutable": (
                "customer.update", {"administrativeResponsibility": "customerAdministered"}),
            "subscription_unknown": (self.random.choice(self.COMMANDS[3:8]), {}),
            "transaction_unknown": ("refund.process", {}),
            "product_unknown": ordered(product="no-such-product"),
            "term_not_sold": ordered(term="P7Y"),
            "certificate_type_unknown": ordered(inventory=items(("no-such-type", 1))),
            "certificate_type_duplicate": ordered(inventory=items(("ov-ssl", 1), ("ov-ssl", 1))),
            "quantity_required": ordered(inventory=items(("ov-ssl", 0))),
            "start_date_too_late": ordered(startDate=days(self.random.choice((93, 400, 100_000)))),
            "start_date_too_early": ordered(term="P1M", startDate=days(self.random.choice((-40, -400, -40_000)))),
            "subscription_duplicate": (
                "subscription.order", {"subscriptions": ordered(subscriptionId=twice)[1]["subscriptions"] * 2}),
        }
        code, (type, changes) = self.random.choice(list(rules.items()))
        if not target.exists:
            # Nothing of a customer that isn't there is looked at, but a new one could be created.
            code = "reseller_unknown" if type == "customer.create" else "customer_unknown"
            changes = {**changes, "resellerId": "hanse"} if type == "customer.create" else changes
        if type in ("subscription.order", "inventory.add", "refund.process"):
            changes = {**changes, "quoteOnly": self.random.random() < 0.2}
        return self.hostile(self.command(target, type, **changes), codes={code}, fate=REJECTED)

    kind_broken_rule.weight = 60

    def kind_forged_partner(self, target):
        command = self.command(target, partnerId=self.random.choice(("nordwind", "gulf", "nobody")))
        return self.hostile(command, codes={"publisher_unknown"}, fate=REJECTED)

    def kind_no_user(self, target):
        headers = self.random.choice([{}, {"x-order-worker-user": "publisher"}, {"x-order-worker-user": "worker"}])
        return self.hostile(
            self.command(target), codes={"publisher_unknown"}, fate=REJECTED, user=None, headers=headers)

    def kind_settle(self, target):
        command = Command("customer.settle", {"customerId": target.customer}, self.id())
        source = self.random.choice((SOURCE, "order-worker"))
        command.source = source
        return self.hostile(command, codes={"publisher_unknown"}, fate=REJECTED)

    def kind_id_used_again(self, target):
        if not target.sent:
            return self.kind_broken_rule(target)
        before = self.random.choice(target.sent)
        command = self.command(target)
        command.id, command.source = before.id, before.source
        return self.hostile(command, codes={"command_id_reused"}, fate=REUSED)
