"""What orders cost, computed a second time from the published rules and the catalog file, with exact arithmetic."""

import calendar
import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from math import floor
from zoneinfo import ZoneInfo


def end_of_term(start: date, term: str) -> date:
    """The day after the last one of a term such as P1Y, P1M or P365D; a month that is too short ends it on its last day."""
    number, unit = int(term[1:-1]), term[-1]
    if unit == "D":
        return start + timedelta(days=number)
    months = start.month - 1 + (number * 12 if unit == "Y" else number)
    year, month = start.year + months // 12, months % 12 + 1
    return date(year, month, min(start.day, calendar.monthrange(year, month)[1]))


def charge(unit_price: int, quantity: int, start: date, today: date, term: str) -> int:
    """The pro-rated price in minor units, rounded once, half up."""
    end = end_of_term(start, term)
    exact = Fraction(unit_price * quantity * (end - max(start, today)).days, (end - start).days)
    return floor(exact + Fraction(1, 2))


@dataclass(frozen=True)
class Line:
    """One certificate type of one subscription, as it has to appear as a transaction."""

    subscription: str
    certificate_type: str
    quantity: int
    unit_price: int
    days_charged: int
    days_of_term: int
    amount: int


class Catalog:
    """The catalog file, read independently of the worker."""

    def __init__(self, path):
        self.content = json.loads(path.read_text())
        self.partners = {partner["id"]: partner for partner in self.content["partners"]}

    def currency(self, partner: str) -> str:
        return self.partners[partner]["currency"]

    def today(self, partner: str, now: datetime) -> date:
        return now.astimezone(ZoneInfo(self.partners[partner]["billingZone"])).date()

    def unit_price(self, partner: str, product: str, certificate_type: str, term: str, today: date) -> int:
        """The partner's own price where it has one in force, otherwise the list price in its currency."""
        for owner in (partner, None):
            in_force = [
                price
                for price in self.content["prices"]
                if price.get("partner") == owner
                and (price["product"], price["certificateType"], price["term"]) == (product, certificate_type, term)
                and price["currency"] == self.currency(partner)
                and date.fromisoformat(price["effectiveFrom"]) <= today
            ]
            if in_force:
                return max(in_force, key=lambda price: price["effectiveFrom"])["unitPrice"]
        raise LookupError(f"no price for {partner}, {product}, {certificate_type}, {term} on {today}")

    def order_lines(self, partner: str, data: dict, now: datetime) -> list[Line]:
        """The lines that a valid subscription.order given at `now` has to produce."""
        today = self.today(partner, now)
        lines = []
        for subscription in data["subscriptions"]:
            start = date.fromisoformat(subscription["startDate"]) if subscription.get("startDate") else today
            term = subscription["term"]
            end = end_of_term(start, term)
            for item in subscription["inventory"]:
                price = self.unit_price(partner, subscription["product"], item["certificateType"], term, today)
                lines.append(
                    Line(
                        subscription["subscriptionId"],
                        item["certificateType"],
                        item["quantity"],
                        price,
                        (end - max(start, today)).days,
                        (end - start).days,
                        charge(price, item["quantity"], start, today, term),
                    )
                )
        return lines
