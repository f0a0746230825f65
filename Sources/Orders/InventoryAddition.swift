// The rule of `inventory.add`: more certificates for immediate use, paid for from today.

extension CustomerState {
    /// Adds certificates to an active subscription, charged for what is left of its period.
    func addInventory(
        _ command: AddInventory, _ customer: Customer, _ context: DecisionContext,
        _ identifiers: inout IdentifierSource
    ) throws(Rejection) -> Decision {
        var violations: [Violation] = []
        var subscription = try running(command.subscriptionID)
        if subscription.state == .suspended {
            violations.append(
                Violation(
                    .subscriptionSuspended, at: "/subscriptionId",
                    "The subscription is suspended; enable it before adding certificates."))
        }
        // A term that new subscriptions can't have any more may still be added to, as long as it has a price.
        let product = context.catalog.product(subscription.product, on: context.today)
        if product == nil {
            violations.append(
                Violation(
                    .productUnknown, at: "/subscriptionId",
                    "The subscription's product \"\(subscription.product)\" isn't sold any more."))
        }
        let lines = context.price(
            command.inventory, of: product, term: subscription.term, on: context.today,
            days: subscription.period.remaining(from: context.today), at: "/inventory", &violations)
        for (index, item) in command.inventory.enumerated() {
            let (sum, overflow) = subscription.inventory[item.certificateType, default: 0]
                .addingReportingOverflow(item.quantity)
            if overflow {
                violations.append(
                    Violation(
                        .amountTooLarge, at: "/inventory/\(index)/quantity", "The inventory would be too large."))
            } else {
                subscription.inventory[item.certificateType] = sum
            }
        }
        if let rejection = Rejection(violations) { throw rejection }

        var transactions: [Transaction] = []
        for line in lines {
            transactions.append(
                context.charge(.inventoryAddition, line, of: subscription, reseller: customer.resellerID, &identifiers))
        }
        return Decision(
            subscriptions: [subscription], transactions: transactions, type: .inventoryAdded,
            data: .subscriptions([subscription], transactions, reason: nil))
    }

    /// A subscription that a command names and that hasn't expired.
    func running(_ id: SubscriptionID) throws(Rejection) -> Subscription {
        guard let subscription = subscriptions[id] else {
            throw Rejection(
                Violation(.subscriptionUnknown, at: "/subscriptionId", "The customer has no subscription \(id)."))
        }
        guard subscription.state != .expired else {
            throw Rejection(
                Violation(
                    .subscriptionExpired, at: "/subscriptionId",
                    "The subscription expired on \(subscription.period.end); order a new one."))
        }
        return subscription
    }
}
