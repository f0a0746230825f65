// What one rule decided: the rows as they then are and the event that says so. Nothing is done by deciding it.

/// What a decision depends on besides the customer's state.
struct DecisionContext {
    let key: CommandKey
    let publisher: Publisher
    let partner: Partner
    let catalog: Catalog
    /// The effective time; while settling, the beginning of the day on which something fell due.
    let at: Timestamp
    /// The date of `at` in the partner's billing zone; while settling, the day on which something fell due.
    let today: CalendarDate
    /// The day on which the decision is made, in the partner's billing zone; never before `today`.
    let bookedOn: CalendarDate

    /// The context of a command.
    ///
    /// - Parameters:
    ///   - at: the command's effective time.
    ///   - now: when the decision is made.
    init(
        key: CommandKey, publisher: Publisher, partner: Partner, catalog: Catalog, at: Timestamp, now: Timestamp
    ) {
        self.key = key
        self.publisher = publisher
        self.partner = partner
        self.catalog = catalog
        self.at = at
        self.today = partner.zone.date(of: at)
        self.bookedOn = max(today, partner.zone.date(of: now))
    }

    /// The context of what falls due on a day, and is settled before the command of `context` is decided. The worker does
    /// it, whichever command it was that came first after the day.
    init(settling day: CalendarDate, before context: DecisionContext, now: Timestamp) {
        self.key = context.key
        self.publisher = .worker
        self.partner = context.partner
        self.catalog = context.catalog
        self.at = context.partner.zone.startOfDay(day)
        self.today = day
        self.bookedOn = max(day, context.partner.zone.date(of: now))
    }
}

/// What accepting a command, or settling something due, changes.
struct Decision {
    /// The customer as it now is, where it changed.
    var customer: Customer?
    /// The subscriptions that changed, as they now are.
    var subscriptions: [Subscription] = []
    /// The transactions made, not yet on an invoice.
    var transactions: [Transaction] = []
    /// The event that announces it.
    var type: EventType
    var data: EventData
}
