// Makes the topology what it should be, whatever is there: new, damaged, with other partitions, or with names of before.

public import AMQP

/// Applies a topology. Applying it again changes nothing.
public struct TopologyChange {
    /// The hash exchange by which commands come to their partitions before the ring of `orders` leads there.
    private static let moving = "\(Topology.commands).moving"

    private let topology: Topology
    private let connection: TopologyConnection
    private let mover: CommandMover
    /// The number of partitions that workers serve now; nil where none was ever recorded.
    private let previous: Int?
    private let record: (Int) async throws -> Void
    private let noteUndrained: (Range<Int>) async throws -> Void
    /// How long workers may take to let go of a partition that is to be deleted.
    private let patience: Duration
    private var made: [String] = []
    /// The first thing that exists otherwise. It keeps no other partition from being restored.
    private var trouble: TopologyError?

    /// - Parameters:
    ///   - mover: moves commands between queues, under the workers' own account.
    ///   - previous: the number of partitions that is stored; nil where none is.
    ///   - patience: how long workers may take to let go of a partition that is to be deleted.
    ///   - record: stores the number of partitions, for the workers to serve.
    ///   - noteUndrained: notes that these partitions may hold commands of customers that are about to move; refuses while
    ///     customers still move because of an earlier change.
    public init(
        _ topology: Topology, on connection: TopologyConnection, mover: CommandMover, previous: Int?,
        patience: Duration = .seconds(15), record: @escaping (Int) async throws -> Void,
        noteUndrained: @escaping (Range<Int>) async throws -> Void
    ) {
        self.topology = topology
        self.connection = connection
        self.mover = mover
        self.previous = previous
        self.patience = patience
        self.record = record
        self.noteUndrained = noteUndrained
    }

    /// Makes what is missing, in an order in which no command is lost at any moment; moves what lies under the names of
    /// before; takes surplus partitions away; and records the number of partitions once it can be served.
    ///
    /// Workers and publishers can go on, but for the move from the names of before, for which the workers must be stopped.
    ///
    /// - Returns: what was made, moved and deleted, a line each.
    /// - Throws: ``TopologyError`` when the exchange type isn't known to the broker, when something exists otherwise, when
    ///   surplus partitions aren't empty, or when somebody consumes what is to be moved; `AMQPError` for everything else.
    public mutating func apply() async throws -> [String] {
        (made, trouble) = ([], nil)
        for exchange in topology.exchanges { try await make(exchange) }
        for queue in topology.commonQueues {
            try await make(queue)
            if let source = queue.source { try await connection.bind(queue: queue.name, to: source, routingKey: "") }
        }
        let former = try await topology.formerPartitions(on: connection)
        if former.isEmpty {
            try await shrink()
            // Before the ring moves: of an unknown customer the workers then wait for what the partitions hold.
            if let previous, previous < topology.partitions { try await noteUndrained(0..<previous) }
            try await restore()
        } else {
            try await move(from: former)
        }
        try await record(topology.partitions)
        if let trouble { throw trouble }
        return made
    }

    /// - Returns: whether it is new.
    @discardableResult
    private mutating func make(_ exchange: Topology.Exchange) async throws -> Bool {
        let isNew = try await !connection.exchangeExists(exchange.name)
        try await topology.declare(exchange, on: connection)
        if isNew { made.append("made exchange \(exchange.name) (\(exchange.type))") }
        return isNew
    }

    /// - Returns: whether it is new.
    @discardableResult
    private mutating func make(_ queue: Topology.Queue) async throws -> Bool {
        let isNew = try await connection.depth(ofQueue: queue.name) == nil
        try await topology.declare(queue, on: connection)
        if isNew { made.append("made queue \(queue.name)") }
        return isNew
    }

    // MARK: Restoring and growing

    private mutating func restore() async throws {
        var newExchanges: Set<Int> = []
        var newQueues: Set<Int> = []
        var sound: [Int] = []
        for partition in 0..<topology.partitions {
            do {
                if try await make(topology.exchange(partition: partition)) { newExchanges.insert(partition) }
                sound.append(partition)
                if try await make(topology.queue(partition)) {
                    newQueues.insert(partition)
                } else {
                    try await bindQueue(partition)
                }
            } catch let error as TopologyError where error.code == .exists {
                trouble = trouble ?? error
            }
        }
        // What came while a queue was missing is older than what comes from now on: it goes first.
        let waiting = try await connection.depth(ofQueue: Topology.unrouted)?.messages ?? 0
        if !newQueues.isEmpty, waiting > 0 {
            try await withMovingExchange(directly: newQueues) { try await $0.empty(Topology.unrouted) }
        }
        for partition in newQueues { try await bindQueue(partition) }
        try await bindRing(sound, new: newExchanges)
        if waiting > 0 { try await mover.move(from: Topology.unrouted, to: Topology.commands, atMost: waiting) }
    }

    private func bindQueue(_ partition: Int) async throws {
        let name = Topology.queue(partition: partition)
        try await connection.bind(queue: name, to: name, routingKey: "")
    }

    /// Binds the partitions' exchanges to the ring, in the order in which the broker will rebuild it when it starts.
    private func bindRing(_ partitions: [Int], new: Set<Int>) async throws {
        for partition in partitions {
            let name = Topology.queue(partition: partition)
            if let first = new.min(), partition > first, !new.contains(partition) {
                try await connection.unbind(
                    exchange: name, from: Topology.commands, routingKey: Topology.weight)
            }
            try await connection.bind(exchange: name, to: Topology.commands, routingKey: Topology.weight)
        }
    }

    // MARK: Shrinking

    private mutating func shrink() async throws {
        let surplus = try await topology.surplusPartitions(on: connection)
        guard let last = surplus.last else { return }
        func refuse(_ code: TopologyError.Code, _ cause: String, _ advice: String) -> TopologyError {
            TopologyError(code, during: "taking partitions away", cause: cause, advice: advice)
        }
        if let full = surplus.first(where: { $0.depth.messages > 0 }) {
            throw refuse(
                .partitionsDiffer, "the queue \(full.name) holds \(full.depth.messages) commands.",
                "Nothing was changed. Let the workers finish them, then apply again; or apply "
                    + "\(last.partition + 1) partitions.")
        }
        for queue in surplus {
            try await connection.unbind(
                exchange: queue.name, from: Topology.commands, routingKey: Topology.weight)
        }
        // What came until then, or is in hand, is still applied: workers serve these partitions until the number is stored.
        for queue in surplus {
            guard try await isReached(on: queue.name, { $0.messages == 0 }) else {
                throw refuse(
                    .partitionsDiffer, "commands have come to \(queue.name) meanwhile.",
                    "No more come. Let the workers finish them, then apply again.")
            }
        }
        try await record(topology.partitions)
        for queue in surplus {
            guard try await isReached(on: queue.name, { $0.consumers == 0 }) else {
                throw refuse(
                    .inUse, "workers still consume \(queue.name).",
                    "Stop those that were given another number (PARTITIONS), then apply again.")
            }
            if let depth = try await connection.depth(ofQueue: queue.name), depth.messages > 0 {
                // What a worker had in hand came back.
                try await record(max(previous ?? 0, last.partition + 1))
                throw refuse(
                    .partitionsDiffer, "commands have come back to \(queue.name).",
                    "No more come. Let the workers finish them, then apply again.")
            }
        }
        for queue in surplus { try await delete(queue) }
    }

    private func isReached(on queue: String, _ condition: (QueueDepth) -> Bool) async throws -> Bool {
        let deadline = ContinuousClock.now + patience
        while true {
            guard let depth = try await connection.depth(ofQueue: queue) else { return true }
            if condition(depth) { return true }
            if ContinuousClock.now > deadline { return false }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    private mutating func delete(_ queue: Topology.StrayQueue) async throws {
        try await connection.deleteQueue(queue.name)
        try await connection.deleteExchange(queue.name)
        made.append("deleted queue \(queue.name)")
    }

    // MARK: The names of before

    /// Moves commands from `orders.0` … to `orders.00` …, in their order.
    ///
    /// First through a ring of its own that is like the one that `orders` will have, while `orders` still leads to the old
    /// queues; then the ring of `orders` is turned to the new exchanges, and what came last is moved after it. Only what
    /// one customer sends in the very moment of the turn can be overtaken by its next command, and nothing while the
    /// publishers pause.
    private mutating func move(from former: [Topology.StrayQueue]) async throws {
        // From 10 on the names have not changed, only what leads there.
        let unchanged = try await topology.queues(
            from: 10, upTo: Topology.partitionRange.upperBound, on: connection
        ) { Topology.queue(partition: $0) }
        if let used = (former + unchanged).first(where: { $0.depth.consumers > 0 }) {
            throw TopologyError(
                .inUse, during: "moving commands from the names of before",
                cause: "workers still consume \(used.name).",
                advice: "Nothing was changed. Stop the workers of the version before, then apply again.")
        }
        for partition in 0..<topology.partitions {
            try await make(topology.exchange(partition: partition))
            try await make(topology.queue(partition))
            try await bindQueue(partition)
        }
        let leaving = former + unchanged.filter { $0.partition >= topology.partitions }
        let staying = unchanged.filter { $0.partition < topology.partitions }
        let mover = mover
        try await withMovingExchange { ring in
            for queue in staying {
                try await mover.move(from: queue.name, to: Self.moving, atMost: queue.depth.messages)
            }
            // Until little comes in the time that a pass takes.
            for _ in 0..<10 {
                var count = 0
                for queue in leaving { count += try await mover.move(from: queue.name, to: Self.moving) }
                if count < 100 { break }
            }
            try await bindRing(Array(0..<topology.partitions), new: [])
            for queue in former + unchanged {
                try await connection.unbind(queue: queue.name, from: Topology.commands, routingKey: Topology.weight)
            }
            for queue in leaving { try await ring.empty(queue.name) }
        }
        for queue in leaving {
            try await delete(queue)
            made.append("moved what was in \(queue.name)")
        }
    }

    // MARK: Moving

    /// A ring like that of `orders`.
    private struct MovingRing {
        let connection: TopologyConnection
        let mover: CommandMover

        /// Moves until the queue is empty.
        func empty(_ queue: String) async throws {
            let deadline = ContinuousClock.now + .seconds(3600)
            while let depth = try await connection.depth(ofQueue: queue), depth.messages > 0 {
                try await mover.move(from: queue, to: TopologyChange.moving)
                if ContinuousClock.now > deadline {
                    throw TopologyError(
                        .notMoved, during: "moving commands from \(queue)", cause: "it doesn't become empty.",
                        advice: "See who publishes to it or consumes it, then apply again.")
                }
            }
        }
    }

    /// - Parameter directly: the partitions whose exchanges don't lead to their queues yet.
    private func withMovingExchange(
        directly: Set<Int> = [], _ body: (MovingRing) async throws -> Void
    ) async throws {
        try await connection.deleteExchange(Self.moving)
        try await topology.declare(
            Topology.Exchange(name: Self.moving, type: "x-consistent-hash"), on: connection)
        for partition in 0..<topology.partitions {
            let name = Topology.queue(partition: partition)
            if directly.contains(partition) {
                try await connection.bind(queue: name, to: Self.moving, routingKey: Topology.weight)
            } else {
                try await connection.bind(exchange: name, to: Self.moving, routingKey: Topology.weight)
            }
        }
        try await body(MovingRing(connection: connection, mover: mover))
        try await connection.deleteExchange(Self.moving)
    }
}
