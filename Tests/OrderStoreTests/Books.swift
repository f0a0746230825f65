// Writes books as a worker does: batches of commands through core and store, at whatever time a test says.

import OrderContract
import OrderStore
import Orders
import PostgreSQL
import Testing

/// Applies batches of commands, each in one database transaction. The same commands give the same books.
final class Books {
    let store: BatchStore
    let catalog: Catalog
    private var identifiers = Numbers()
    private var lastCommand = 0
    private var waiting: [OutboxPosition] = []
    /// The time at which the books begin. Later than any test runs: the inbox has months from the present one on.
    static let beginning = Timestamp(microseconds: 2_846_185_200_000_000)  // 2060-03-10T23:00:00Z, in Berlin the 11th

    init(_ connection: Connection) async throws {
        store = BatchStore(connection: connection)
        catalog = try await CatalogStore(connection: connection).load()
    }

    static func time(day: Int) -> Timestamp { beginning.adding(.seconds(day * 86400)) }

    /// Applies commands in one transaction, so many days after the beginning.
    ///
    /// - Returns: the transactions made.
    @discardableResult
    func apply(day: Int, by publisher: Publisher = .user("acme-user"), _ commands: [Command]) async throws
        -> [Transaction]
    {
        let now = Self.time(day: day)
        let sender = publisher == .worker ? InboxKey.worker : catalog.partner(for: publisher)?.id ?? InboxKey.unknown
        let keyed = commands.map { command in
            lastCommand += 1
            return (
                key: InboxKey(sender: sender, command: CommandKey(source: "shop", id: "c\(lastCommand)")),
                command: command
            )
        }
        let (changes, outcomes) = try await decide(keyed, by: publisher, now: now)
        let events = changes.events.map { event in
            StoredEvent(
                id: event.id, type: event.type, time: event.time, customerID: event.customerID,
                data: EventEncoder.data(of: event))
        }
        let trace = TraceContext(traceparent: nil, tracestate: nil)
        let entries = try zip(keyed, outcomes).map { keyed, outcome in
            InboxEntry(
                receivedAt: now, key: keyed.key, customerID: keyed.command.customerID, partition: 3,
                type: keyed.command.type.rawValue, publisher: publisher.name, effectiveAt: now, data: Array("{}".utf8),
                trace: trace, outcome: try #require(events.first { $0.id == outcome.id }))
        }
        waiting += try await store.commit(
            changes, commands: entries,
            events: events.map {
                OutboxEntry(partition: 3, event: $0, replyTo: nil, correlationID: nil, trace: trace)
            }, published: [])
        return changes.transactions
    }

    /// Begins the transaction and decides, once more where closing invoices takes what wasn't loaded.
    private func decide(
        _ keyed: [(key: InboxKey, command: Command)], by publisher: Publisher, now: Timestamp
    ) async throws -> (Changes, [Event]) {
        var needed = MissingState()
        while true {
            let loaded = try await store.begin(BatchRequest(keyed, dueBy: now), with: needed)
            var work = UnitOfWork(
                catalog: catalog, states: loaded.states, invoiceNumbers: loaded.invoiceNumbers, now: now,
                identifiers: IdentifierSource(identifiers))
            identifiers.skip()
            let outcomes = keyed.map { key, command in
                work.decide(CommandEnvelope(key: key.command, publisher: publisher, effectiveAt: now, command: command))
            }
            let changes = work.finish()
            if changes.missing.isEmpty { return (changes, outcomes) }
            try #require(!changes.missing.isSubset(of: needed))
            needed.formUnion(changes.missing)
            try await store.rollback()
        }
    }

    /// What the worker does once the broker has confirmed.
    func publish() async throws {
        try await store.remove(waiting)
        waiting = []
    }

    // MARK: Commands

    static func customer(_ number: UInt64) -> CustomerID { CustomerID(high: 0x018f_0000_0000_7000, low: number) }
    static func subscription(_ number: UInt64) -> SubscriptionID {
        SubscriptionID(high: 0x018f_0000_0001_7000, low: number)
    }

    static func create(_ number: UInt64, name: String? = nil, reseller: String? = nil) -> Command {
        .createCustomer(
            CreateCustomer(
                customerID: customer(number), companyName: name ?? "Example \(number)",
                address: Address(
                    line1: "1 Main St", line2: nil, line3: nil, city: "Springfield", postalCode: "12345",
                    stateOrProvince: "NY", country: "US"),
                resellerID: reseller, administrativeResponsibility: .partnerAdministered, customerAdminEmail: nil))
    }

    static func order(
        _ customer: UInt64, _ subscription: UInt64, term: String = "P1Y", renews: Bool = false,
        _ inventory: [String: Int64]
    ) throws -> Command {
        .orderSubscriptions(
            OrderSubscriptions(
                customerID: self.customer(customer),
                subscriptions: [
                    OrderSubscriptions.Item(
                        subscriptionID: self.subscription(subscription), product: "pki", term: try #require(Term(term)),
                        startDate: nil, autoRenewal: renews, inventory: list(inventory))
                ], quoteOnly: false))
    }

    static func add(
        _ customer: UInt64, _ subscription: UInt64, _ inventory: [String: Int64], quoteOnly: Bool = false
    ) -> Command {
        .addInventory(
            AddInventory(
                customerID: self.customer(customer), subscriptionID: self.subscription(subscription),
                inventory: list(inventory), quoteOnly: quoteOnly))
    }

    static func setRenewal(_ customer: UInt64, _ subscription: UInt64, _ inventory: [String: Int64]) -> Command {
        .setRenewalInventory(
            SetRenewalInventory(
                customerID: self.customer(customer), subscriptionID: self.subscription(subscription),
                renewalInventory: list(inventory)))
    }

    static func suspend(_ customer: UInt64, _ subscription: UInt64) -> Command {
        .suspendSubscription(
            SuspendSubscription(
                customerID: self.customer(customer), subscriptionID: self.subscription(subscription), reason: nil))
    }

    static func enable(_ customer: UInt64, _ subscription: UInt64) -> Command {
        .enableSubscription(
            EnableSubscription(
                customerID: self.customer(customer), subscriptionID: self.subscription(subscription), reason: nil))
    }

    static func refund(_ customer: UInt64, _ transaction: Transaction?, _ quantity: Int64) throws -> Command {
        let item = ProcessRefund.Item(transactionID: try #require(transaction).id, quantity: quantity)
        return .processRefund(
            ProcessRefund(customerID: self.customer(customer), refunds: [item], reason: nil, quoteOnly: false))
    }

    static func settle(_ customers: UInt64...) -> [Command] { customers.map { .settle(customer($0)) } }

    private static func list(_ inventory: [String: Int64]) -> [CertificateQuantity] {
        inventory.sorted { $0.key < $1.key }.map { CertificateQuantity(certificateType: $0.key, quantity: $0.value) }
    }

    // MARK: A history

    /// More than a year in which everything happens that can happen.
    func writeHistory() async throws {
        let nordwind = Publisher.user("nordwind-user")
        try await apply(
            day: 0,
            [
                Self.create(1, reseller: "east"), Self.create(2), Self.create(3), Self.create(4, name: "Idle, Inc."),
                Self.create(1),
            ])
        try await apply(day: 0, by: nordwind, [Self.create(5), try Self.order(5, 5, renews: true, ["ov": 4])])
        let orders = try await apply(
            day: 0,
            [
                try Self.order(1, 1, renews: true, ["ov": 10, "ev": 3]),
                try Self.order(2, 2, term: "P1M", renews: true, ["ov": 7]),
                try Self.order(3, 3, renews: true, ["ov": 5]),
                try Self.order(3, 4, ["ev": 2]), try Self.order(1, 6, ["xx": 1]),
            ])
        try await publish()
        let ov = orders.first { $0.customerID == Self.customer(1) && $0.certificateType == "ov" }
        try await apply(
            day: 1,
            [
                Self.add(1, 1, ["ov": 3]), Self.add(1, 1, ["ov": 3], quoteOnly: true),
                Self.setRenewal(1, 1, ["ov": 20, "ev": 0]),
                .setAutoRenewal(
                    SetAutoRenewal(
                        customerID: Self.customer(3), subscriptionID: Self.subscription(4), autoRenewal: true)),
                Self.suspend(3, 3), Self.enable(3, 3), Self.suspend(3, 3), Self.suspend(3, 3),
                // Suspended, it expires at its end, since it isn't to renew.
                .setAutoRenewal(
                    SetAutoRenewal(
                        customerID: Self.customer(3), subscriptionID: Self.subscription(3), autoRenewal: false)),
                try Self.refund(1, ov, 3),
                .updateCustomer(
                    UpdateCustomer(customerID: Self.customer(1), companyName: nil, address: nil, reseller: .clear)),
            ])
        try await apply(day: 1, by: nordwind, [try Self.order(1, 7, ["ov": 1])])
        try await apply(day: 2, [try Self.refund(1, ov, 3), try Self.refund(1, ov, 4), try Self.refund(1, ov, 1)])
        try await apply(day: 40, by: .worker, Self.settle(1, 2, 3, 5))
        try await publish()
        let renewals = try await apply(day: 370, by: .worker, Self.settle(1, 2, 3, 5))
        let renewal = renewals.first { $0.type == .renewal && $0.customerID == Self.customer(1) }
        try await apply(
            day: 371,
            [
                try Self.refund(1, renewal, 7), try Self.order(1, 8, ["ov": 2]), Self.setRenewal(1, 1, ["ov": 9]),
            ])
    }
}

extension Books {
    /// What comes after ``writeHistory()``: renewal inventories cleared, and a suspension past the end.
    func writeSuspension() async throws {
        try await apply(
            day: 373,
            [
                try Self.order(3, 9, term: "P1M", renews: true, ["ov": 2]), Self.suspend(3, 9),
                try Self.order(3, 10, term: "P1M", renews: true, ["ov": 1]),
                Self.setRenewal(1, 8, ["ov": 3]), Self.setRenewal(1, 8, [:]),
            ])
        // A new period begins a fortnight after the end of the first; the next one follows on it.
        try await apply(day: 418, [Self.enable(3, 9)])
        try await apply(day: 460, by: .worker, Self.settle(1, 2, 3, 5))
    }
}

/// Pseudo-random numbers (SplitMix64), so that identifiers repeat.
private struct Numbers: RandomNumberGenerator {
    private var state: UInt64 = 0

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// Begins another stretch, for the next user of a copy.
    mutating func skip() { state &+= 0xD1B5_4A32_D192_ED03 }
}
