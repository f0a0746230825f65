// One database transaction per batch, in two round trips: load what the batch touches, then store what it changed.

public import Orders
public import PostgreSQL

/// What a batch of commands touches.
public struct BatchRequest: Sendable {
    public let keys: [InboxKey]
    public let customers: [CustomerID]
    public let subscriptions: [(CustomerID, SubscriptionID)]
    public let transactions: [(CustomerID, TransactionID)]
    /// What is due by then is loaded too.
    public let horizon: Timestamp

    /// The request for `commands`, each thing once.
    public init(_ commands: [(key: InboxKey, command: Command)], dueBy horizon: Timestamp) {
        self.keys = Array(Set(commands.map(\.key)))
        self.customers = Array(Set(commands.map(\.command.customerID)))
        self.subscriptions = commands.flatMap { command in
            command.command.subscriptionIDs.map { (command.command.customerID, $0) }
        }
        self.transactions = commands.flatMap { command in
            command.command.transactionIDs.map { (command.command.customerID, $0) }
        }
        self.horizon = horizon
    }
}

/// What the database knew when the batch began. The customers' rows stay locked until the transaction ends.
public struct LoadedBatch: Sendable {
    public let catalogVersion: Int64
    /// The commands of the batch that were received before.
    public let known: [InboxKey: InboxEntry]
    public let states: [CustomerState]
    public let invoiceNumbers: [InvoiceSeries: Int64]
}

/// Loads and stores batches on one connection.
///
/// A batch takes a constant number of statements, whatever its size: one per table.
public struct BatchStore: Sendable {
    public let connection: Connection

    public init(connection: Connection) {
        self.connection = connection
    }

    /// What a session that only looks rows up by key is told once: never to scan a table because it was small when the
    /// statement was planned. For the same reason the statements that look up more than one key column put the look-up
    /// into a lateral subquery with `OFFSET 0`, which the planner can't turn round: joined as equals, it would read the
    /// whole table and look the keys up in the batch, as long as it believes the table to be empty. And to notice within seconds, even while it waits for a lock, that its worker is gone.
    private static let sessionSettings = """
        SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off;
        SET plan_cache_mode = force_generic_plan; SET client_connection_check_interval = '2s'
        """

    /// Prepares the session for batches.
    ///
    /// - Throws: ``StoreError/Code/readOnly`` where the server takes no changes, besides what the database refuses.
    public func prepareSession() async throws(StoreError) {
        let isReadOnly: Bool
        do {
            try await connection.execute(script: Self.sessionSettings)
            isReadOnly =
                try await connection.query(
                    Statement("SELECT current_setting('transaction_read_only') = 'on'")
                ).first?.bool(0) ?? false
        } catch {
            throw StoreError(error, during: "preparing the session")
        }
        if isReadOnly {
            throw StoreError(
                .readOnly, during: "preparing the session", detail: "the server takes no changes",
                advice: "Name the primary, or all servers with target_session_attrs=read-write, in the database URL.")
        }
    }

    /// Begins the transaction and loads all that the batch touches. One round trip.
    ///
    /// - Parameter missing: what closing invoices takes besides what those take that are due already.
    public func begin(
        _ request: BatchRequest, with missing: MissingState = MissingState()
    ) async throws(StoreError) -> LoadedBatch {
        let statements = [
            Statement(name: "begin", "BEGIN"),
            Statement(name: "read catalog version", "SELECT version FROM catalog_versions"),
            InboxTable.find(request.keys),
            CustomerTable.load(request.customers),
            InvoiceTable.lockSeries(request.customers, dueBy: request.horizon, and: missing.series),
            SubscriptionTable.load(
                customers: request.customers, named: request.subscriptions, charges: request.transactions,
                dueBy: request.horizon),
            TransactionTable.loadCharges(request.transactions),
            InvoiceTable.loadOpen(request.customers),
            TransactionTable.loadDueInvoiceLines(
                request.customers, dueBy: request.horizon, and: missing.invoiceLines.sorted()),
        ]
        return try await connection.run(statements, during: "loading a batch") { results in
            try Self.read(results, dueBy: request.horizon, missing)
        }
    }

    private static func read(
        _ results: [Rows], dueBy horizon: Timestamp, _ missing: MissingState
    ) throws -> LoadedBatch {
        var states: [CustomerID: CustomerState] = [:]
        for row in results[3] {
            let customer = try CustomerTable.read(row)
            states[customer.id] = CustomerState(id: customer.id, customer: customer)
        }
        for row in results[5] {
            let subscription = try SubscriptionTable.read(row)
            states[subscription.customerID]?.subscriptions[subscription.id] = subscription
        }
        for row in results[6] {
            let charge = try TransactionTable.readCharge(row)
            states[charge.transaction.customerID]?.charges[charge.transaction.id] = charge
        }
        for row in results[7] {
            let invoice = try InvoiceTable.read(row)
            states[invoice.customerID]?.openInvoice = invoice
            if invoice.dueAt.map({ $0 <= horizon }) ?? false || missing.invoiceLines.contains(invoice.customerID) {
                states[invoice.customerID]?.openInvoiceLines = []
            }
        }
        for row in results[8] {
            let line = try TransactionTable.read(row)
            states[line.customerID]?.openInvoiceLines?.append(line)
        }
        var known: [InboxKey: InboxEntry] = [:]
        for row in results[2] {
            let entry = try InboxTable.read(row)
            known[entry.key] = entry
        }
        var numbers: [InvoiceSeries: Int64] = [:]
        for row in results[4] {
            let (series, lastNumber) = try InvoiceTable.readSeries(row)
            numbers[series] = lastNumber
        }
        return LoadedBatch(
            catalogVersion: try results[1].first?.int64(0) ?? 0, known: known,
            states: states.values.sorted { $0.id < $1.id },
            invoiceNumbers: numbers)
    }

    /// Stores the changes, inbox and outbox, removes what was published meanwhile, and commits. One round trip.
    ///
    /// - Returns: where each of `events` stands in the outbox, in their order.
    public func commit(
        _ changes: Changes, commands: [InboxEntry], events: [OutboxEntry], published: [OutboxPosition]
    ) async throws(StoreError) -> [OutboxPosition] {
        var statements: [Statement] = []
        if !changes.customers.isEmpty { statements.append(CustomerTable.store(changes.customers)) }
        if !changes.invoices.isEmpty { statements.append(InvoiceTable.store(changes.invoices)) }
        if !changes.subscriptions.isEmpty {
            statements.append(SubscriptionTable.store(changes.subscriptions))
            statements.append(SubscriptionTable.storeInventory(changes.subscriptions))
        }
        if !changes.transactions.isEmpty { statements.append(TransactionTable.store(changes.transactions)) }
        if let periods = SubscriptionTable.storePeriods(begunBy: changes.transactions) { statements.append(periods) }
        if !changes.invoiceNumbers.isEmpty { statements.append(InvoiceTable.storeSeries(changes.invoiceNumbers)) }
        if !commands.isEmpty { statements.append(InboxTable.record(commands)) }
        if !published.isEmpty { statements.append(OutboxTable.remove(published)) }
        if !events.isEmpty { statements.append(OutboxTable.add(events)) }
        statements.append(Statement(name: "commit", "COMMIT"))
        let answer = events.isEmpty ? nil : statements.count - 2
        return try await connection.run(statements, during: "storing a batch") { results in
            try answer.map { try results[$0].map(OutboxTable.readPosition) } ?? []
        }
    }

    /// Gives the transaction up.
    public func rollback() async throws(StoreError) {
        try await connection.run([Statement(name: "rollback", "ROLLBACK")], during: "rolling a batch back") { _ in }
    }

    // MARK: The outbox by itself

    /// The oldest events that wait in the partitions' outbox.
    public func waitingEvents(partitions: [Int], limit: Int) async throws(StoreError) -> [WaitingEvent] {
        let statements = [OutboxTable.waiting(partitions: partitions, limit: limit)]
        return try await connection.run(statements, during: "reading the outbox") { results in
            try results[0].map(OutboxTable.readWaiting)
        }
    }

    /// Removes published events when no batch comes that would do it.
    public func remove(_ published: [OutboxPosition]) async throws(StoreError) {
        try await connection.run([OutboxTable.remove(published)], during: "clearing the outbox") { _ in }
    }
}
