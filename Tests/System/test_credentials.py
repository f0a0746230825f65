"""Credentials that are refused: an answer at the start, patience later."""

import secrets
import time
from urllib.parse import urlsplit

import pytest

from order_client import create_customer, new_id


def with_password(url: str, password: str, user: str | None = None) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{user or parts.username}:{password}@{parts.hostname}:{parts.port}").geturl()


@pytest.mark.parametrize("setting", ["AMQP_URL", "DATABASE_URL"])
def test_a_password_that_is_refused_at_the_start_ends_the_worker(setting, stage):
    right = stage.environment()[setting]
    worker = stage.start_worker(**{setting: with_password(right, "wrong-" + new_id())})
    assert worker.wait(30) == 78
    assert urlsplit(right).username in worker.tail()
    assert "wrong-" not in worker.log.read_text()


def test_a_password_that_is_changed_while_a_worker_runs_is_waited_for(stage, listener, publisher):
    user = f"worker-{stage.name}"
    stage.accounts.append(user)

    def set_password(password: str) -> None:
        stage.servers.management("PUT", f"users/{user}", {"password": password, "tags": ""})

    password = secrets.token_hex(16)
    set_password(password)
    stage.servers.management(
        "PUT", f"permissions/{stage.name}/{user}", {"configure": ".*", "write": ".*", "read": ".*"}
    )
    worker = stage.start_worker(AMQP_URL=with_password(stage.amqp_url, password, user)).wait_until_ready()

    set_password(secrets.token_hex(16))
    limit = time.monotonic() + 30
    while worker.get("/readyz")[0] == 200:  # the broker lists a new connection only after some seconds
        assert time.monotonic() < limit
        stage.close_connections()
        time.sleep(0.2)
    publisher.command(create_customer(customer := new_id()))
    assert worker.running

    set_password(password)
    worker.wait_until_ready(60)
    assert listener.event("customer.created", customer)
