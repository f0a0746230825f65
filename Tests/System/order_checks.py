"""What an event says, held against an independent calculation."""

import re
from datetime import timedelta

from order_client import now


def assert_order_is_right(stage, event, command, partner="acme"):
    """Transactions and subscriptions of a subscription.ordered, against an independent calculation."""
    currency = stage.catalog.currency(partner)
    expected = stage.catalog.order_lines(partner, command.data, command.time)
    transactions = event.data["transactions"]
    assert len(transactions) == len(expected)
    for line in expected:
        (made,) = [
            transaction
            for transaction in transactions
            if (transaction["subscriptionId"], transaction["certificateType"])
            == (line.subscription, line.certificate_type)
        ]
        assert made["type"] == "order"
        assert made["quantity"] == line.quantity
        assert made["unitPrice"] == {"amount": line.unit_price, "currency": currency}
        assert made["days"] == {"charged": line.days_charged, "term": line.days_of_term}
        assert made["amount"] == {"amount": line.amount, "currency": currency}
        assert re.fullmatch(
            r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", made["transactionId"]
        )
    for wanted in command.data["subscriptions"]:
        (now_is,) = [item for item in event.data["subscriptions"] if item["subscriptionId"] == wanted["subscriptionId"]]
        assert now_is["product"] == wanted["product"]
        assert now_is["term"] == wanted["term"]
        assert now_is["state"] == "active"
        assert now_is["start"] == wanted.get("startDate", stage.catalog.today(partner, command.time).isoformat())
        assert now_is["autoRenewal"] is wanted.get("autoRenewal", False)
        assert sorted((item["certificateType"], item["quantity"]) for item in now_is["inventory"]) == sorted(
            (item["certificateType"], item["quantity"]) for item in wanted["inventory"]
        )
    return sum(line.amount for line in expected)


def backdated(stage, days, partner="acme"):
    return (stage.catalog.today(partner, now()) - timedelta(days=days)).isoformat()
