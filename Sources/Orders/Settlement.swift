// Time passing: what has fallen due for a customer, and in which order.

/// Something whose time has come.
enum Due: Equatable {
    /// The open invoice's month has ended.
    case invoice(at: Timestamp)
    /// The subscription's period has ended.
    case subscription(Subscription, at: Timestamp)

    /// When it fell due.
    var at: Timestamp {
        switch self {
        case .invoice(let at), .subscription(_, let at): at
        }
    }
}

extension CustomerState {
    /// What fell due first, up to and including `time`.
    ///
    /// At the same instant the invoice comes first, for what happens from then on belongs to the next month; then the
    /// subscriptions by id.
    func nextDue(through time: Timestamp) -> Due? {
        guard customer != nil else { return nil }
        var first: Due?
        if let at = openInvoice?.dueAt, at <= time { first = .invoice(at: at) }
        for subscription in subscriptions.values {
            guard let at = subscription.dueAt, at <= time else { continue }
            switch first {
            case nil:
                break
            case .invoice(let earliest):
                if at >= earliest { continue }
            case .subscription(let other, let earliest):
                if (at, subscription.id) >= (earliest, other.id) { continue }
            }
            first = .subscription(subscription, at: at)
        }
        return first
    }

    /// Renews a subscription whose period has ended, or lets it expire.
    ///
    /// The worker did it, whichever command it was that came first after the time.
    ///
    /// - Parameter fits: whether the open invoice can carry the transactions; a renewal that it can't carry expires.
    func settle(
        _ subscription: Subscription, _ context: DecisionContext, _ identifiers: inout IdentifierSource,
        fits: ([Transaction]) -> Bool
    ) -> Decision {
        let context = DecisionContext(
            key: context.key, publisher: .worker, partner: context.partner, catalog: context.catalog, at: context.at)
        let reason: ExpiryReason
        switch Renewal.next(subscription, context) {
        case .success(let next):
            var transactions: [Transaction] = []
            for line in next.lines {
                transactions.append(
                    context.charge(.renewal, line, of: next.subscription, reseller: customer?.resellerID, &identifiers))
            }
            if fits(transactions) {
                return Decision(
                    subscriptions: [next.subscription], transactions: transactions, type: .subscriptionRenewed,
                    data: .subscriptions([next.subscription], transactions, reason: nil))
            }
            reason = .amountTooLarge
        case .failure(let failure):
            reason = failure
        }
        var expired = subscription
        expired.state = .expired
        expired.dueAt = nil
        let transaction = context.change(.expiry, of: expired, reseller: customer?.resellerID, &identifiers)
        return Decision(
            subscriptions: [expired], transactions: [transaction], type: .subscriptionExpired,
            data: .subscriptions([expired], [transaction], reason: reason.rawValue))
    }
}
