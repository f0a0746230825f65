"""JSON documents made from the contract's schemas, some with things broken, and what an independent reader makes of them."""

import json
import os
import random
import re
import subprocess
from functools import lru_cache
from pathlib import Path

from jsonschema import Draft202012Validator

try:
    from re import _parser as sre_parse
except ImportError:  # before Python 3.11
    import sre_parse

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("ORDER_WORKER_BIN") or str(REPOSITORY / ".build/debug/order-worker")

COMMANDS = [
    "customer.create", "customer.update", "subscription.order", "inventory.add", "renewal-inventory.set",
    "auto-renewal.set", "subscription.suspend", "subscription.enable", "refund.process",
]
EVENTS = [
    "customer.created", "customer.updated", "subscription.ordered", "inventory.added", "renewal-inventory.set",
    "auto-renewal.changed", "subscription.suspended", "subscription.enabled", "subscription.renewed",
    "subscription.expired", "refund.processed", "invoice.updated", "invoice.closed", "quote.prepared",
    "customer.settled", "command.rejected",
]
# Commands are what has to be refused exactly, so they are drawn more often.
NAMES = 6 * [f"command.{name}" for name in COMMANDS] + [f"event.{name}" for name in EVENTS]


def contract(*arguments, text=None):
    result = subprocess.run(
        [PROGRAM, "contract", *arguments], input=text, capture_output=True, encoding="utf-8", check=True, timeout=600)
    return result.stdout


# What the independent side makes of a text ---------------------------------------------------------------------------


class Refused(Exception):
    """The text is no JSON document that the contract allows, before any schema."""


def exact_number(text):
    """A number as JSON Schema sees it: by its value, not by what fits into a double. 0.5 stands for any fraction."""
    sign, whole, fraction, exponent = re.fullmatch(r"(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?", text).groups()
    digits = (whole + (fraction or "")).lstrip("0")
    stripped = digits.rstrip("0")
    shift = int(exponent or 0) - len(fraction or "") + len(digits) - len(stripped)
    if not stripped:
        return 0
    if shift < 0:
        return 0.5
    value = int(stripped) * 10 ** min(shift, 400)
    return -value if sign else value


def members(pairs):
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise Refused("a member is named twice")
    return dict(pairs)


def no_constant(text):
    raise Refused(text)


def depth_and_strings(value, depth=0):
    if isinstance(value, (dict, list)) and depth >= 32:
        raise Refused("nested too deeply")
    if isinstance(value, str) and re.search("[\x00\ud800-\udfff]", value):
        raise Refused("U+0000 or a lone surrogate")
    if isinstance(value, dict):
        for name, member in value.items():
            depth_and_strings(name, depth)
            depth_and_strings(member, depth + 1)
    if isinstance(value, list):
        for element in value:
            depth_and_strings(element, depth + 1)


def read(text):
    try:
        value = json.loads(
            text, object_pairs_hook=members, parse_float=exact_number, parse_int=exact_number,
            parse_constant=no_constant)
    except (json.JSONDecodeError, RecursionError) as error:
        raise Refused(str(error)) from error
    depth_and_strings(value)
    return value


def pointer(path):
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


# Documents -----------------------------------------------------------------------------------------------------------


class Raw(str):
    """JSON text that is written as it is."""


ODD_TEXTS = [
    "", " ", "a", "A", "ä", "e\u0301", "\u212a", "😀", "\u00a0", "\u2028", "\n", "\t", "\x7f", "\x80", "\x9f", "\ufeff",
    "\ufffd", "٣", "null", "P1Y", "P0Y", "P120M", "P121M", "P3650D", "P3651D", "2026-02-29", "2024-02-29", "1900-02-29",
    "2000-02-29", "1899-12-31", "9999-12-31", "a@b.co", "a@b", "DE", "UK", "partnerAdministered", "x" * 64, "x" * 65,
    "018f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b10", "018F4C2E-6A1C-7C3E-9D55-0A4F7F2F9B10", "2026-11-22T21:35:06Z", "a" * 500,
    "a" * 501, "\u212aE", "a@" + "x" * 63 + ".co", "a@" + "x" * 64 + ".co", "😀" * 100, "😀" * 101, "😀" * 200,
    "😀" * 201,
]
ODD_RAW = [
    "0", "-0", "-0.0", "1", "-1", "25.0", "2.5e1", "250e-1", "25.5", "1e-1", "1e400", "-1e400", "1e-400", "0e400",
    "1000000", "1000001", "1e6", "1.0000001e6", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
    "-9223372036854775809", "9223372036854775807.0", "25.00000000000000000000000000001", "1E99999999999999999999",
    "true", "false", "null", "[]", "{}", "[null]", '{"a":1}', '"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"',
    '"\\ud83d\\ude00"', "NaN", "Infinity", "01", "+1", "1.", ".5", "'a'", '"\\x"', '"\t"', "[1,]", '{"a":1,"a":1}',
    "[" * 31 + "]" * 31, "[" * 40 + "]" * 40,
]


@lru_cache
def parsed(pattern):
    return sre_parse.parse(pattern)


@lru_cache
def validator_of(text):
    return Draft202012Validator(json.loads(text))


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def chance(self, probability):
        return self.random.random() < probability

    # Valid documents

    def value(self, schema):
        if "anyOf" in schema and "type" not in schema:
            return self.value(self.random.choice(schema["anyOf"]))
        if "enum" in schema:
            return self.random.choice(schema["enum"])
        return getattr(self, "valid_" + schema["type"])(schema)

    def valid_null(self, schema):
        return None

    def valid_boolean(self, schema):
        return self.chance(0.5)

    def valid_integer(self, schema):
        low, high = schema["minimum"], schema["maximum"]
        number = self.random.choice([low, high, min(high, low + 1), self.random.randint(low, min(high, low + 1000))])
        if self.chance(0.2):
            return Raw(self.random.choice([f"{number}.0", f"{number}e0", f"{number}0e-1", f"{number}.000E+0"]))
        return number

    def valid_array(self, schema):
        low = schema.get("minItems", 0)
        high = schema.get("maxItems", 5)
        count = high if self.chance(0.01) else self.random.randint(low, min(high, low + 3))
        return [self.value(schema["items"]) for _ in range(count)]

    def valid_object(self, schema):
        required = set(schema.get("required", []))
        if "anyOf" in schema:
            required |= set(self.random.choice(schema["anyOf"])["required"])
        chosen = [name for name in schema["properties"] if name in required or self.chance(0.5)]
        if self.chance(0.5):
            self.random.shuffle(chosen)
        value = {name: self.value(schema["properties"][name]) for name in chosen}
        if schema.get("additionalProperties", True) and self.chance(0.1):
            deep = self.random.randint(28, 34)
            value["extra"] = self.random.choice([1, "x", [], {}, None, Raw("[" * deep + "]" * deep)])
        return value

    def valid_string(self, schema):
        pattern = schema.get("pattern", "")
        if pattern.startswith("^") and pattern.endswith("$"):
            for _ in range(20):
                text = self.sample(parsed(pattern))
                if validator_of(json.dumps(schema)).is_valid(text):
                    break
            return text
        longest = schema.get("maxLength", 40)
        if pattern:
            return "a" + self.text("abz019._-", self.length(longest) - 1)
        return self.text("aZ9 ._-/~\"\\äß€😀\u0301\u00a0\u2028", self.length(longest))

    def length(self, longest):
        return longest if self.chance(0.1) else self.random.randint(1, min(longest, 20))

    def text(self, alphabet, length):
        return "".join(self.random.choice(alphabet) for _ in range(length))

    def sample(self, expression):
        """A text that the parsed regular expression matches."""
        text = ""
        for operator, argument in expression:
            name = str(operator)
            if name == "LITERAL":
                text += chr(argument)
            elif name == "IN":
                text += self.character(argument)
            elif name == "MAX_REPEAT":
                low, high, inner = argument
                count = self.random.randint(low, min(int(high), low + 6))
                text += "".join(self.sample(inner) for _ in range(count))
            elif name == "SUBPATTERN":
                text += self.sample(argument[3])
            elif name == "BRANCH":
                text += self.sample(self.random.choice(argument[1]))
            elif name != "AT":
                raise NotImplementedError(name)
        return text

    def character(self, choices):
        operator, argument = self.random.choice(choices)
        return chr(argument if str(operator) == "LITERAL" else self.random.randint(*argument))

    # Broken documents

    def places(self, value, path=()):
        yield path
        if isinstance(value, dict):
            for name in value:
                yield from self.places(value[name], path + (name,))
        elif isinstance(value, list):
            for index in range(min(len(value), 4)):
                yield from self.places(value[index], path + (index,))

    def changed(self, value, path, change):
        if not path:
            return change(value)
        copy = dict(value) if isinstance(value, dict) else list(value)
        copy[path[0]] = self.changed(copy[path[0]], path[1:], change)
        return copy

    def broken(self, value):
        return self.changed(value, self.random.choice(list(self.places(value))), self.mutant)

    def mutant(self, value):
        if self.chance(0.25):
            return Raw(self.random.choice(ODD_RAW)) if self.chance(0.6) else self.random.choice(ODD_TEXTS)
        if isinstance(value, Raw) or isinstance(value, bool) or value is None:
            return self.random.choice([1, "x", None, True, [], {}, str(value)])
        if isinstance(value, int):
            return self.random.choice(
                [value + 1, value - 1, -value, value * 1000, str(value), Raw(f"{value}.5"), Raw(f"{value}e3")])
        if isinstance(value, str):
            at = self.random.randint(0, len(value))
            return self.random.choice([
                value + "\n", value + " ", "\n" + value, value.upper(), value.lower(), value[:-1], value * 2,
                value[:at] + self.random.choice(ODD_TEXTS) + value[at:], value[:at] + value[at + 1:],
                value[:at] + self.random.choice("09azAZ-._@:/\x00\x1f\x7f") + value[at + 1:], value[::-1], "x" * 201])
        if isinstance(value, list):
            return self.random.choice([
                [], value + value[:1] * 60, value + value[:1] * 120, value + [None], value[:1] * 50, value[:1] * 100,
                {"0": value}, value[::-1]])
        return self.mutant_object(value)

    def mutant_object(self, value):
        copy = dict(value)
        name = self.random.choice(list(copy) or ["x"])
        kind = self.random.randrange(5)
        if kind == 0:
            copy.pop(name, None)
        elif kind == 1:
            copy[self.random.choice(["x", "", name.lower(), name + " ", "a/b~c", "partnerId", "é", "y" * 80])] = "p"
        elif kind == 2:
            copy[name.upper()] = copy.pop(name, None)
        elif kind == 3:
            text = self.json(copy)
            return Raw(text[:-1] + ("," if copy else "") + self.quoted(name) + ":1}")
        else:
            return [copy]
        return copy

    # Text

    def json(self, value):
        space = self.random.choice(["", "", "", " ", "\n", "\t\r "])
        if isinstance(value, Raw):
            return str(value)
        if isinstance(value, str):
            return self.quoted(value)
        if isinstance(value, dict):
            inner = ("," + space).join(self.quoted(name) + space + ":" + self.json(value[name]) for name in value)
            return "{" + space + inner + "}"
        if isinstance(value, list):
            return "[" + ("," + space).join(self.json(element) for element in value) + space + "]"
        return json.dumps(value)

    def quoted(self, text):
        if self.chance(0.1):
            return '"' + "".join(self.escaped(character) for character in text) + '"'
        return json.dumps(text, ensure_ascii=self.chance(0.5))

    def escaped(self, character):
        return "".join(f"\\u{unit:04x}" for unit in memoryview(character.encode("utf-16-le")).cast("H"))

    def document(self, schema):
        value = self.value(schema)
        if self.chance(0.5):
            for _ in range(self.random.choice([1, 1, 1, 2, 3])):
                value = self.broken(value)
        text = self.json(value)
        if self.chance(0.02):
            at = self.random.randint(0, len(text))
            text = text[:at] + self.random.choice(["", ",", '"', "}", "{", "\\", "\x00", "\ufeff", " "]) + text[at + 1:]
        return text
