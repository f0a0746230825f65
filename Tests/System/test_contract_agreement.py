"""The decoder and the JSON Schemas agree: a document is accepted if and only if an independent validator accepts it.

Documents are generated from the schemas that `order-worker contract schema` prints, half of them with one or more
things broken, and held against both `order-worker contract check` and the package jsonschema: 10,000 of them, or
1,000,000 in the long form of the tests.
"""

import json

import pytest
from jsonschema import Draft202012Validator

from order_documents import NAMES, ODD_RAW, Generator, Raw, Refused, contract, pointer, read

BATCH = 5_000


@pytest.fixture(scope="module")
def validators():
    schemas = {name: json.loads(contract("schema", name)) for name in set(NAMES)}
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    return {name: Draft202012Validator(schema) for name, schema in schemas.items()}


def disagreements(validators, documents):
    """Where the two sides differ, as sentences; and how many documents both accept."""
    lines = "".join(json.dumps({"type": name, "data": text}) + "\n" for name, text in documents)
    answers = contract("check", text=lines).removesuffix("\n").split("\n")
    assert len(answers) == len(documents)
    found, accepted = [], 0
    for (name, text), answer in zip(documents, answers):
        try:
            errors = list(validators[name].iter_errors(read(text)))
            expected = "accepted" if not errors else "refused"
        except Refused as reason:
            errors, expected = None, f"refused ({reason})"
        accepted += answer == "accepted"
        if answer.split(":")[0] != expected.split(" ")[0]:
            found.append(f"{name}: the validator says {expected}, the decoder {answer}: {text[:2000]}")
        elif answer.startswith("refused: schema_violation") and errors:
            # The decoder points to the member that is missing or not known, the validator to the object it is about.
            told = json.loads('"' + answer[len("refused: schema_violation "):] + '"')
            places = {pointer(error.absolute_path) for error in errors}
            if told not in places and told.rpartition("/")[0] not in places:
                found.append(f"{name}: the decoder points to {told!r}, the validator to {places}: {text[:2000]}")
    return found, accepted


def test_generated_documents(validators, seed, full):
    generator = Generator(seed)
    total = 1_000_000 if full else 10_000
    accepted = 0
    for _ in range(total // BATCH):
        names = generator.random.choices(NAMES, k=BATCH)
        documents = [(name, generator.document(validators[name].schema)) for name in names]
        found, count = disagreements(validators, documents)
        assert not found, f"{len(found)} disagreements:\n" + "\n".join(found[:10])
        accepted += count
    # The generator is worth something only if it makes plenty of both.
    assert 0.3 < accepted / total < 0.8


def test_odd_values_in_every_place(validators, seed, full):
    generator = Generator(seed)
    documents = []
    for name, validator in validators.items():
        value = generator.value(validator.schema)
        for path in generator.places(value):
            for raw in ODD_RAW:
                documents.append((name, generator.json(generator.changed(value, path, lambda _, raw=raw: Raw(raw)))))
    if not full:
        documents = generator.random.sample(documents, BATCH)
    found, _ = disagreements(validators, documents)
    assert not found, f"{len(found)} disagreements:\n" + "\n".join(found[:10])


def test_every_example_is_valid(validators):
    messages = json.loads(contract("asyncapi"))["components"]["messages"]
    assert set(messages) == set(NAMES)
    for name, message in messages.items():
        assert message["examples"]
        for example in message["examples"]:
            validators[name].validate(example["payload"])
