// Time passing: what has fallen due for a customer, and in which order.

/// Something whose day has come. Which day that is follows from the calendar, never from a stored instant.
enum Due: Equatable {
    /// The open invoice's month has ended.
    case invoice(on: CalendarDate)
    /// The subscription's period has ended.
    case subscription(Subscription, on: CalendarDate)

    /// The day on which it fell due: the first after the month or the period.
    var day: CalendarDate {
        switch self {
        case .invoice(let day), .subscription(_, let day): day
        }
    }
}

/// A place in the order in which a customer's subscriptions fall due.
public struct DueBound: Sendable, Hashable, Comparable {
    let day: CalendarDate
    let subscription: SubscriptionID

    public init(day: CalendarDate, subscription: SubscriptionID) {
        self.day = day
        self.subscription = subscription
    }

    public static func < (left: DueBound, right: DueBound) -> Bool {
        (left.day, left.subscription) < (right.day, right.subscription)
    }
}

extension Due {
    /// Whether everything that falls due before it was loaded.
    func isWithin(_ bound: DueBound?) -> Bool {
        guard let bound else { return true }
        return switch self {
        case .invoice(let day): day <= bound.day
        case .subscription(let subscription, let day):
            (day, subscription.id) <= (bound.day, bound.subscription)
        }
    }
}

extension CustomerState {
    /// Whether something is due by `today` that was not loaded.
    func lacksDue(through today: CalendarDate) -> Bool { dueBound.map { $0.day <= today } ?? false }

    /// About how many transactions and lines it takes to settle what is due by `today` and was loaded.
    func settlementWeight(through today: CalendarDate) -> Int {
        guard customer != nil else { return 0 }
        var weight = 0
        if let invoice = openInvoice, invoice.end <= today { weight += 1 + (openInvoiceLines?.count ?? 0) }
        for subscription in subscriptions.values {
            guard let day = subscription.dueOn, day <= today,
                Due.subscription(subscription, on: day).isWithin(dueBound)
            else { continue }
            let period = max(1, Int(subscription.period.end.days) - Int(subscription.period.start.days))
            let periods = subscription.autoRenewal ? 1 + (Int(today.days) - Int(day.days)) / period : 1
            weight += periods * max(1, subscription.inventory.count)
        }
        return weight
    }

    /// What fell due first, up to and including `today`.
    ///
    /// On the same day the invoice comes first, for what happens from then on belongs to the next month; then the
    /// subscriptions by id.
    ///
    /// - Parameter isOver: whether `today` is over: the invoice whose month ends with it is due, but nothing that
    ///   begins with the next day.
    func nextDue(through today: CalendarDate, isOver: Bool = false) -> Due? {
        guard customer != nil else { return nil }
        var first: Due?
        if let invoice = openInvoice, invoice.end <= (isOver ? today.adding(days: 1) : today) {
            first = .invoice(on: invoice.end)
        }
        for subscription in subscriptions.values {
            guard let day = subscription.dueOn, day <= today else { continue }
            switch first {
            case nil:
                break
            case .invoice(let earliest):
                if day >= earliest { continue }
            case .subscription(let other, let earliest):
                if (day, subscription.id) >= (earliest, other.id) { continue }
            }
            first = .subscription(subscription, on: day)
        }
        return first
    }

    /// Renews a subscription whose period has ended, or lets it expire.
    ///
    /// - Parameter fits: whether the open invoice can carry the transactions; a renewal that it can't carry expires.
    func settle(
        _ subscription: Subscription, _ context: DecisionContext, _ identifiers: inout IdentifierSource,
        fits: ([Transaction]) -> Bool
    ) -> Decision {
        let refusal: Renewal.Refusal
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
                    data: .subscriptions([next.subscription], transactions, reason: nil, dropped: next.dropped))
            }
            refusal = Renewal.Refusal(reason: .amountTooLarge, dropped: next.dropped)
        case .failure(let failure):
            refusal = failure
        }
        var expired = subscription
        expired.state = .expired
        let transaction = context.change(.expiry, of: expired, reseller: customer?.resellerID, &identifiers)
        return Decision(
            subscriptions: [expired], transactions: [transaction], type: .subscriptionExpired,
            data: .subscriptions(
                [expired], [transaction], reason: refusal.reason.rawValue, dropped: refusal.dropped))
    }
}
