// A subscription with the inventory of certificates that it holds.

public enum SubscriptionState: String, CaseIterable, Sendable, Hashable {
    case active
    case suspended
    case expired
}

/// One run of a subscription's term, half-open: `[start, end)`.
public struct Period: Hashable, Sendable {
    /// 0 for the first period.
    public let index: Int
    public let start: CalendarDate
    public let end: CalendarDate

    public init(index: Int, start: CalendarDate, end: CalendarDate) {
        self.index = index
        self.start = start
        self.end = end
    }

    /// The length in days.
    public var days: Int { Int(end.days) - Int(start.days) }
}

/// The period from whose start the ends of a subscription's periods are counted, never from the previous end.
public struct PeriodAnchor: Hashable, Sendable {
    /// The period's index.
    public let index: Int
    /// Its first day.
    public let start: CalendarDate

    public init(index: Int, start: CalendarDate) {
        self.index = index
        self.start = start
    }
}

/// A subscription as it now is.
public struct Subscription: Hashable, Sendable {
    public let id: SubscriptionID
    public let customerID: CustomerID
    public let product: String
    public let term: Term
    public var state: SubscriptionState
    /// The first period's start.
    public let originalStart: CalendarDate
    /// The first period, or the latest that began when the subscription was enabled after its end.
    public var anchor: PeriodAnchor
    public var period: Period
    public var autoRenewal: Bool
    /// Certificates held, by certificate type. A type that is absent counts 0.
    public var inventory: [String: Int64]
    /// What a type's number will be after renewal, where one was set.
    public var renewalInventory: [String: Int64]
    /// When the clock has to look: the instant at which the current period ends in the partner's zone, as its rules were
    /// known when it was worked out. Only a hint: what is due follows from ``dueOn``. nil where nothing falls due.
    public var dueAt: Timestamp?

    /// The day on which the subscription falls due, the end of its current period; nil where nothing falls due: once it has
    /// expired, and while it is suspended with auto-renewal on, for then it waits to be enabled, also past its end.
    public var dueOn: CalendarDate? {
        switch state {
        case .active: period.end
        case .suspended: autoRenewal ? nil : period.end
        case .expired: nil
        }
    }

    /// The certificate types that it holds, or is set to hold after its renewal.
    public var certificateTypes: Set<String> { Set(inventory.keys).union(renewalInventory.keys) }

    public init(
        id: SubscriptionID, customerID: CustomerID, product: String, term: Term, state: SubscriptionState,
        originalStart: CalendarDate, anchor: PeriodAnchor? = nil, period: Period, autoRenewal: Bool,
        inventory: [String: Int64], renewalInventory: [String: Int64], dueAt: Timestamp?
    ) {
        self.id = id
        self.customerID = customerID
        self.product = product
        self.term = term
        self.state = state
        self.originalStart = originalStart
        self.anchor = anchor ?? PeriodAnchor(index: 0, start: originalStart)
        self.period = period
        self.autoRenewal = autoRenewal
        self.inventory = inventory
        self.renewalInventory = renewalInventory
        self.dueAt = dueAt
    }
}
