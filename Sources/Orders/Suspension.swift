// The rules of `subscription.suspend` and `subscription.enable`: no money moves while a suspension lasts, and the end date
// stays.

extension CustomerState {
    /// Suspends an active subscription: until it is enabled nothing can be added, and it doesn't renew.
    func suspend(
        _ command: SuspendSubscription, _ customer: Customer, _ context: DecisionContext,
        _ identifiers: inout IdentifierSource
    ) throws(Rejection) -> Decision {
        var subscription = try running(command.subscriptionID)
        guard subscription.state != .suspended else {
            throw Rejection(
                Violation(
                    .subscriptionAlreadySuspended, at: "/subscriptionId", "The subscription is suspended already."))
        }
        subscription.state = .suspended
        let transaction = context.change(.suspension, of: subscription, reseller: customer.resellerID, &identifiers)
        return Decision(
            subscriptions: [subscription], transactions: [transaction], type: .subscriptionSuspended,
            data: .subscriptions([subscription], [transaction], reason: command.reason))
    }

    /// Enables a suspended subscription, at any time (seed). Until its period ends no money moves; after that a new period
    /// begins today, paid in full at today's prices, from which later ends are counted.
    func enable(
        _ command: EnableSubscription, _ customer: Customer, _ context: DecisionContext,
        _ identifiers: inout IdentifierSource
    ) throws(Rejection) -> Decision {
        var subscription = try running(command.subscriptionID)
        guard subscription.state != .active else {
            throw Rejection(
                Violation(.subscriptionAlreadyActive, at: "/subscriptionId", "The subscription is active already."))
        }
        subscription.state = .active
        var charges: [PricedLine] = []
        var dropped: [DroppedCertificates] = []
        if subscription.period.end <= context.today {
            let index = subscription.period.index + 1
            let period = Period(
                index: index, start: context.today, end: subscription.term.end(ofPeriod: 0, from: context.today))
            switch Renewal.begin(period, of: subscription, context) {
            case .success(let next):
                subscription = next.subscription
                subscription.anchor = PeriodAnchor(index: index, start: period.start)
                charges = next.lines
                dropped = next.dropped
            case .failure(let refusal):
                throw Rejection(refusal.violation(of: subscription, on: context.today))
            }
        }
        var transactions = [context.change(.enablement, of: subscription, reseller: customer.resellerID, &identifiers)]
        for line in charges {
            transactions.append(
                context.charge(.renewal, line, of: subscription, reseller: customer.resellerID, &identifiers))
        }
        return Decision(
            subscriptions: [subscription], transactions: transactions, type: .subscriptionEnabled,
            data: .subscriptions([subscription], transactions, reason: command.reason, dropped: dropped))
    }
}

extension Renewal.Refusal {
    /// Why a subscription that has ended can't be enabled.
    fileprivate func violation(of subscription: Subscription, on date: CalendarDate) -> Violation {
        let ended = "The subscription ended on \(subscription.period.end) and can't begin a new period"
        switch reason {
        case .productNotSold:
            return Violation(
                .termNotSold, at: "/subscriptionId",
                "\(ended): the product \"\(subscription.product)\" isn't sold for \(subscription.term) on \(date).")
        case .amountTooLarge:
            return Violation(.amountTooLarge, at: "/subscriptionId", "\(ended): the amount would be too large to book.")
        case .nothingLeft, .noAutoRenewal:
            return Violation(
                .nothingToRenew, at: "/subscriptionId", "\(ended): none of its certificates can be sold on \(date).")
        }
    }
}
