// The rule of `subscription.order`: one or more new subscriptions, all or nothing.

extension CustomerState {
    /// Orders the subscriptions and charges each certificate type for what is left of its term.
    func orderSubscriptions(
        _ command: OrderSubscriptions, _ customer: Customer, _ context: DecisionContext,
        _ identifiers: inout IdentifierSource
    ) throws(Rejection) -> Decision {
        var violations: [Violation] = []
        var ordered: [Subscription] = []
        var transactions: [Transaction] = []
        if command.subscriptions.isEmpty {
            violations.append(
                Violation(.quantityRequired, at: "/subscriptions", "At least one subscription is needed."))
        }
        for (index, item) in command.subscriptions.enumerated() {
            checkIsNew(item, index, command.subscriptions[..<index], &violations)
            let product = context.catalog.product(item.product, on: context.today)
            if product == nil {
                violations.append(
                    Violation(
                        .productUnknown, at: "/subscriptions/\(index)/product",
                        "The catalog has no product \"\(item.product)\"."))
            }
            let isTermSold = product?.sells(for: item.term, on: context.today) ?? false
            if product != nil, !isTermSold {
                violations.append(
                    Violation(
                        .termNotSold, at: "/subscriptions/\(index)/term",
                        "The product \"\(item.product)\" isn't sold for \(item.term)."))
            }
            let period: Period
            switch StartDate.firstPeriod(
                start: item.startDate, term: item.term, today: context.today,
                pointer: "/subscriptions/\(index)/startDate")
            {
            case .success(let allowed):
                period = allowed
            case .failure(let rejection):
                violations += rejection.violations
                // Only so that the rest of the item is checked as well.
                period = Period(
                    index: 0, start: context.today, end: item.term.end(ofPeriod: 0, from: context.today))
            }
            let lines = context.price(
                item.inventory, of: product, term: isTermSold ? item.term : nil, on: context.today,
                days: period.remaining(from: context.today), mayBeZero: true, at: "/subscriptions/\(index)/inventory",
                &violations)
            guard violations.isEmpty else { continue }

            let subscription = Subscription(
                id: item.subscriptionID, customerID: id, product: item.product, term: item.term, state: .active,
                originalStart: period.start, period: period, autoRenewal: item.autoRenewal,
                inventory: Dictionary(
                    lines.map { ($0.certificateType, $0.quantity) }, uniquingKeysWith: { first, _ in first }),
                renewalInventory: [:], dueAt: context.partner.zone.startOfDay(period.end))
            ordered.append(subscription)
            for line in lines {
                transactions.append(
                    context.charge(.order, line, of: subscription, reseller: customer.resellerID, &identifiers))
            }
        }
        if let rejection = Rejection(violations) { throw rejection }
        return Decision(
            subscriptions: ordered, transactions: transactions, type: .subscriptionOrdered,
            data: .subscriptions(ordered, transactions, reason: nil))
    }

    /// A subscription's id must be new to the customer and to the command.
    private func checkIsNew(
        _ item: OrderSubscriptions.Item, _ index: Int, _ earlier: ArraySlice<OrderSubscriptions.Item>,
        _ violations: inout [Violation]
    ) {
        if subscriptions[item.subscriptionID] != nil {
            violations.append(
                Violation(
                    .subscriptionExists, at: "/subscriptions/\(index)/subscriptionId",
                    "The customer has a subscription \(item.subscriptionID) already."))
        }
        if earlier.contains(where: { $0.subscriptionID == item.subscriptionID }) {
            violations.append(
                Violation(
                    .subscriptionDuplicate, at: "/subscriptions/\(index)/subscriptionId",
                    "The command orders the subscription \(item.subscriptionID) twice."))
        }
    }
}
