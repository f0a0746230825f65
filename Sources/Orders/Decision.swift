// What one rule decided: the rows as they then are and the event that says so. Nothing is done by deciding it.

/// What a decision depends on besides the customer's state.
struct DecisionContext {
    let key: CommandKey
    let publisher: Publisher
    let partner: Partner
    let catalog: Catalog
    /// The effective time; while settling, the time at which something fell due.
    let at: Timestamp
    /// The date of `at` in the partner's billing zone.
    let today: CalendarDate

    init(key: CommandKey, publisher: Publisher, partner: Partner, catalog: Catalog, at: Timestamp) {
        self.key = key
        self.publisher = publisher
        self.partner = partner
        self.catalog = catalog
        self.at = at
        self.today = partner.zone.date(of: at)
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
