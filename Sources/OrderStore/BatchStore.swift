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
    /// How many bytes of stored commands and outcomes may be read for commands that were received before. The others of them
    /// are named by ``LoadedBatch/postponed``.
    public var repeatedBytes = 8 << 20
    /// How many subscriptions that are due may be loaded, and about how many lines of invoices that are. What doesn't fit is
    /// told by ``CustomerState/dueBound`` and ``LoadedBatch/incomplete``.
    public var dueLimit = 1000
    public var lineLimit = 10_000

    /// The request for `commands`, each thing once.
    public init(_ commands: [(key: InboxKey, command: Command)], dueBy horizon: Timestamp) {
        self.keys = Array(Set(commands.map(\.key)))
        var seen: Set<CustomerID> = []
        // In their order: where not everything can be loaded, the first customer's comes first.
        self.customers = commands.map(\.command.customerID).filter { seen.insert($0).inserted }
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
    /// Commands that were received before too, but were not read, as there were too many bytes of them.
    public let postponed: Set<InboxKey>
    /// The partition of each customer's last command, where one is known.
    public let partitions: [CustomerID: Int]
    /// The partitions that may hold commands from before partitions were added.
    public let undrained: Set<Int>
    /// The last barrier that was begun, and the fences that stand.
    public let barrier: Int64
    public let fences: [Fence]
    /// What is parked of the customers.
    public let parked: [ParkedWay: ParkedBacklog]
    public let states: [CustomerState]
    /// Customers of whom not everything was loaded that it takes to decide their commands, as there was too much of others.
    public let incomplete: Set<CustomerID>
    public let invoiceNumbers: [InvoiceSeries: Int64]
}

extension LoadedBatch {
    /// What whoever keeps the books in memory knows.
    public init(
        catalogVersion: Int64, known: [InboxKey: InboxEntry], states: [CustomerState],
        invoiceNumbers: [InvoiceSeries: Int64]
    ) {
        self.init(
            catalogVersion: catalogVersion, known: known, postponed: [], partitions: [:], undrained: [], barrier: 0,
            fences: [], parked: [:], states: states, incomplete: [], invoiceNumbers: invoiceNumbers)
    }
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
    /// whole table and look the keys up in the batch, as long as it believes the table to be empty.
    ///
    /// What the decisions rest on doesn't depend on how the server or the role is configured: the schema, the isolation, and
    /// that what is committed is on disk (a stronger setting than `on` stays).
    ///
    /// And a worker that stands still must not keep its partitions: the server notices within seconds that it is gone, and
    /// ends a session that has said nothing for ``silenceLimit``, in a transaction or not. A lock that somebody else holds
    /// is told apart from a statement that takes too long.
    private static let sessionSettings = """
        SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off;
        SET plan_cache_mode = force_generic_plan; SET client_connection_check_interval = '2s';
        SET search_path = public, pg_temp; SET default_transaction_isolation = 'read committed';
        SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '20s'; SET idle_session_timeout = '20s';
        SET timezone = 'UTC'; SET datestyle = 'ISO';
        SELECT set_config('synchronous_commit', 'on', false)
        WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')
        """

    /// A lane's session that says nothing for this long is ended by the server, and its partitions are free.
    public static let silenceLimit = Duration.seconds(20)

    /// Sees to it that the session is the connection's own: that its server process is the one that the connection was made
    /// to. To be called first: behind a pooler even prepared statements are somebody else's.
    ///
    /// - Throws: ``StoreError/Code/pooled`` where a pooler stands between.
    public func requireOwnSession() async throws(StoreError) {
        let during = "looking at the session"
        let process = await connection.serverProcess
        do {
            try await connection.execute(
                script: """
                    DO $$ BEGIN
                        IF pg_backend_pid() <> \(process) THEN
                            RAISE EXCEPTION 'pooled' USING ERRCODE = 'OW001';
                        END IF;
                    END $$
                    """)
        } catch {
            guard error.sqlState == "OW001" else { throw StoreError(error, during: during) }
            throw StoreError(
                .pooled, during: during,
                detail: "the database is reached through a pooler: the session's server process isn't the one that "
                    + "the connection was made to",
                advice: "Partitions are owned by locks of a session: give the worker a connection of its own, to "
                    + "PostgreSQL itself and not to a pooler such as PgBouncer.")
        }
    }

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
            Statement(name: "begin", "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"),
            Statement(
                name: "read versions",
                "SELECT version, coalesce((SELECT undrained FROM topology), '{}') FROM catalog_versions"),
            CustomerTable.load(request.customers),
            // Once the customers are locked: a command of theirs that another lane is recording is seen.
            InboxTable.find(request.keys, bytes: request.repeatedBytes),
            ParkedTable.count(request.customers),
            InvoiceTable.lockSeries(request.customers, dueBy: request.horizon, and: missing.series),
            SubscriptionTable.load(
                customers: request.customers, named: request.subscriptions, charges: request.transactions,
                dueBy: request.horizon, limit: request.dueLimit),
            TransactionTable.loadCharges(request.transactions),
            InvoiceTable.loadOpen(request.customers),
            TransactionTable.loadDueInvoiceLines(
                request.customers, dueBy: request.horizon, and: missing.invoiceLines.sorted(),
                limit: request.lineLimit),
            BarrierTable.state,
        ]
        return try await connection.run(statements, during: "loading a batch") { results in
            try Self.read(results, of: request, missing)
        }
    }

    private static func read(
        _ results: [Rows], of request: BatchRequest, _ missing: MissingState
    ) throws -> LoadedBatch {
        let horizon = request.horizon
        var states: [CustomerID: CustomerState] = [:]
        var partitions: [CustomerID: Int] = [:]
        for row in results[2] {
            let customer = try CustomerTable.read(row)
            states[customer.id] = CustomerState(id: customer.id, customer: customer)
            partitions[customer.id] = try CustomerTable.readPartition(row)
        }
        var bounds: [CustomerID: DueBound] = [:]
        var dueCount = 0
        for row in results[6] {
            let subscription = try SubscriptionTable.read(row)
            states[subscription.customerID]?.subscriptions[subscription.id] = subscription
            guard try SubscriptionTable.readIsDue(row) else { continue }
            dueCount += 1
            let bound = DueBound(day: subscription.period.end, subscription: subscription.id)
            bounds[subscription.customerID] = max(bounds[subscription.customerID] ?? bound, bound)
        }
        var incomplete: Set<CustomerID> = []
        if dueCount >= request.dueLimit, let last = request.customers.lastIndex(where: { bounds[$0] != nil }) {
            let customer = request.customers[last]
            states[customer]?.dueBound = bounds[customer]
            incomplete.formUnion(request.customers[(last + 1)...])
        }
        for row in results[7] {
            let charge = try TransactionTable.readCharge(row)
            states[charge.transaction.customerID]?.charges[charge.transaction.id] = charge
        }
        for row in results[8] {
            let invoice = try InvoiceTable.read(row)
            states[invoice.customerID]?.openInvoice = invoice
            if invoice.dueAt.map({ $0 <= horizon }) ?? false || missing.invoiceLines.contains(invoice.customerID) {
                states[invoice.customerID]?.openInvoiceLines = []
            }
        }
        for row in results[9] {
            let (customer, line) = try TransactionTable.readDueLine(row)
            if let line {
                states[customer]?.openInvoiceLines?.append(line)
            } else {
                incomplete.insert(customer)
            }
        }
        var known: [InboxKey: InboxEntry] = [:]
        var postponed: Set<InboxKey> = []
        for row in results[3] {
            switch try InboxTable.read(row) {
            case .entry(let entry): known[entry.key] = entry
            case .postponed(let key): postponed.insert(key)
            }
        }
        var numbers: [InvoiceSeries: Int64] = [:]
        for row in results[5] {
            let (series, lastNumber) = try InvoiceTable.readSeries(row)
            numbers[series] = lastNumber
        }
        var parked: [ParkedWay: ParkedBacklog] = [:]
        for row in results[4] {
            let (way, backlog) = try ParkedTable.readCount(row)
            parked[way] = backlog
        }
        let (barrier, fences) = try BarrierTable.readState(results[10].first)
        return LoadedBatch(
            catalogVersion: try results[1].first?.int64(0) ?? 0, known: known,
            postponed: postponed, partitions: partitions,
            undrained: Set(try results[1].first?.int64Array(1).map(Int.init) ?? []), barrier: barrier,
            fences: fences, parked: parked, states: states.values.sorted { $0.id < $1.id },
            incomplete: incomplete, invoiceNumbers: numbers)
    }

    /// Stores the changes, inbox and outbox, removes what was published meanwhile, and commits. One round trip.
    ///
    /// - Parameters:
    ///   - partitions: from which partition each customer's last command came.
    ///   - moves: customers whose parked commands come by another partition than the last ones.
    ///   - drained: partitions that hold nothing any more from before partitions were added.
    ///   - barriers: those that have come out of partitions' queues.
    ///   - parking: commands that have to wait.
    ///   - unparked: parked commands that are done.
    /// - Returns: where each of `events` stands in the outbox, in their order.
    public func commit(
        _ changes: Changes, partitions: [CustomerID: Int] = [:], moves: [CustomerMove] = [],
        drained: Set<Int> = [], barriers: [Int: Int64] = [:],
        parking: [ParkedCommand] = [], unparked: [ParkedPosition] = [], commands: [InboxEntry], events: [OutboxEntry],
        published: [OutboxPosition]
    ) async throws(StoreError) -> [OutboxPosition] {
        var statements: [Statement] = []
        if !changes.customers.isEmpty { statements.append(CustomerTable.store(changes.customers, partitions)) }
        if !moves.isEmpty {
            statements.append(CustomerTable.move(moves))
            statements.append(ParkedTable.holdOthers(moves))
        }
        if !drained.isEmpty { statements.append(PartitionCount.drained(drained)) }
        if !barriers.isEmpty { statements.append(BarrierTable.passed(barriers)) }
        if !parking.isEmpty { statements.append(try ParkedTable.add(parking)) }
        if !unparked.isEmpty { statements.append(ParkedTable.remove(unparked)) }
        if !changes.invoices.isEmpty { statements.append(InvoiceTable.store(changes.invoices)) }
        if !changes.subscriptions.isEmpty {
            statements.append(SubscriptionTable.store(changes.subscriptions))
            statements.append(SubscriptionTable.storeInventory(changes.subscriptions, dropped: changes.droppedTypes))
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

    /// The oldest events that wait in a partition's outbox, and the customers some of whose events are in quarantine.
    ///
    /// Each of them is as safe as a commit that was answered. A server that crashed while a commit waited for its standby
    /// shows it afterwards as if it had been answered; should the standby take over without it, an announcement would be of
    /// something that never was. So something is committed after the reading: its answer tells that the standby has it all.
    ///
    /// - Parameter bytes: beyond this no further event is read.
    public func waitingEvents(
        partition: Int, bytes: Int = 4 << 20
    ) async throws(StoreError) -> (events: [WaitingEvent], quarantined: Set<CustomerID>) {
        let statements = [
            OutboxTable.waiting(partition: partition, bytes: bytes), QuarantineTable.customers([partition]),
        ]
        let found = try await connection.run(statements, during: "reading the outbox") { results in
            (
                events: try results[0].map(OutboxTable.readWaiting),
                quarantined: Set(try results[1].map(QuarantineTable.readCustomer))
            )
        }
        if !found.events.isEmpty {
            // The smallest thing that is logged, and so waited for.
            let mark = Statement(
                name: "reach the standby", "SELECT pg_logical_emit_message(true, 'order-worker', '')::text")
            try await connection.run([mark], during: "making sure of what is in the outbox") { _ in }
        }
        return found
    }

    /// Removes published events when no batch comes that would do it.
    public func remove(_ published: [OutboxPosition]) async throws(StoreError) {
        try await connection.run([OutboxTable.remove(published)], during: "clearing the outbox") { _ in }
    }
}
