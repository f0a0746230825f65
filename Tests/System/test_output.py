"""Results that can't be written whole are never a success, whichever command prints them."""

import json
import os
import subprocess
import uuid

import pytest

from order_client import create_customer, new_id
from order_stage import SAMPLE_CATALOG


def onto_a_full_disk(stage, *arguments, input=b"", **environment):
    with open("/dev/full", "wb") as full:
        return subprocess.run(
            [str(stage.servers.binary), *arguments],
            env={**os.environ, **stage.environment(**environment)},
            input=input,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
        )


def fails_in_words(done):
    errors = done.stderr.decode()
    assert done.returncode == 2, errors
    assert "No space left on device" in errors
    return errors


@pytest.mark.parametrize(
    "command",
    [
        "migrate",
        "migrate --status",
        "topology apply",
        "topology check",
        f"catalog apply {SAMPLE_CATALOG}",
        "report transactions",
        "report invoices --format csv",
        "report subscriptions --format json",
        "report upcoming",
        "audit",
        "audit --json",
        "doctor",
        "outbox",
        "deadletters list",
        "deadletters discard --all --yes",
        "deadletters replay --all",
    ],
)
def test_output_onto_a_full_disk_is_no_success(command, stage):
    fails_in_words(onto_a_full_disk(stage, *command.split()))


def test_what_a_worker_and_a_dead_letter_bring_is_no_success_on_a_full_disk_either(stage, publisher):
    worker = stage.start_worker(MESSAGE_SIZE_LIMIT="1024").wait_until_ready()
    fails_in_words(onto_a_full_disk(stage, "doctor", "--ready", HTTP_PORT=worker.http.rsplit(":", 1)[1]))
    fails_in_words(onto_a_full_disk(stage, "clock", "run", "--until", "2020-01-01"))
    command = {"id": str(uuid.uuid4()), "type": "auto-renewal.set", "data": {"customerId": new_id(), "x": 1}}
    fails_in_words(
        onto_a_full_disk(
            stage, "publish", "-", input=json.dumps(command).encode(), AMQP_URL=stage.publisher_url
        )
    )
    customer = create_customer(new_id())
    customer.data["companyName"] = "x" * 2000
    publisher.command(customer)
    for arguments in (["deadletters", "list"], ["deadletters", "show", "1"], ["deadletters", "show", "1", "--body"]):
        fails_in_words(onto_a_full_disk(stage, *arguments))
    listening = subprocess.Popen(
        [str(stage.servers.binary), "listen"],
        env={**os.environ, **stage.environment(AMQP_URL=stage.consumer_url)},
        stdout=open("/dev/full", "wb"),
        stderr=subprocess.PIPE,
    )
    listening.stderr.readline()  # it listens
    publisher.command(create_customer(new_id()))
    _, errors = listening.communicate(timeout=30)
    assert listening.returncode == 2, errors
    assert b"No space left on device" in errors
