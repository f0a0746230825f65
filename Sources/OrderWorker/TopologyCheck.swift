// Compares the topology with what a broker has.

public import AMQP

extension Topology {
    /// Compares what the broker has with what is needed. Makes nothing.
    ///
    /// Bindings and policies can't be seen over AMQP: ``BrokerView`` compares them where the management API is reachable.
    ///
    /// - Parameter existenceOnly: whether it is enough that all is there, whatever it is like; for an account that may
    ///   configure nothing.
    /// - Returns: what differs, a line each; empty when all is as it should be.
    /// - Throws: `AMQPError` when the broker can't be asked.
    public func check(on connection: TopologyConnection, existenceOnly: Bool = false) async throws -> [String] {
        var differences: [String] = []
        for exchange in exchanges + (0..<partitions).map(exchange(partition:)) {
            guard try await connection.exchangeExists(exchange.name) else {
                differences.append("The exchange \(exchange.name) doesn't exist.")
                continue
            }
            if !existenceOnly { try await note(&differences) { try await declare(exchange, on: connection) } }
        }
        for queue in commonQueues + (0..<partitions).map({ queue($0) }) {
            guard try await connection.depth(ofQueue: queue.name) != nil else {
                differences.append("The queue \(queue.name) doesn't exist.")
                continue
            }
            if !existenceOnly { try await note(&differences) { try await declare(queue, on: connection) } }
        }
        let former = try await formerPartitions(on: connection)
        if let first = former.first {
            differences.append(
                "The queue \(first.name) exists\(former.count > 1 ? ", with \(former.count - 1) others," : "") under a name "
                    + "of before: nobody consumes it. Applying the topology moves what is in it.")
        }
        // Where partitions have their names of before, those from 10 on have today's names.
        if former.isEmpty, let surplus = try await surplusPartitions(on: connection).first {
            differences.append(
                "The queue \(surplus.name) exists beyond the \(partitions) partitions: nobody would consume it.")
        }
        return differences
    }

    private func note(_ differences: inout [String], _ declare: () async throws -> Void) async throws {
        do {
            try await declare()
        } catch let error as TopologyError where error.code == .exists {
            differences.append(error.cause)
        } catch let error as TopologyError where error.code == .pluginMissing {
            differences.append("\(error.cause) \(error.advice)")
        }
    }

    /// A partition's queue that the topology doesn't have.
    struct StrayQueue {
        let partition: Int
        let name: String
        let depth: QueueDepth
    }

    /// The queues of partitions from ``partitions`` on.
    func surplusPartitions(on connection: TopologyConnection) async throws -> [StrayQueue] {
        try await queues(from: partitions, upTo: Self.partitionRange.upperBound, on: connection) {
            Self.queue(partition: $0)
        }
    }

    /// The queues that have the names of before, with one digit or three.
    func formerPartitions(on connection: TopologyConnection) async throws -> [StrayQueue] {
        let low = try await queues(from: 0, upTo: 10, patience: 10, on: connection) { Self.formerQueue(partition: $0) }
        guard !low.isEmpty else { return [] }
        return try await low + queues(from: 100, upTo: 1024, on: connection) { Self.formerQueue(partition: $0) }
    }

    /// The queues that exist in a range of partitions, up to where `patience` in a row don't.
    func queues(
        from first: Int, upTo end: Int, patience: Int = 3, on connection: TopologyConnection, name: (Int) -> String
    ) async throws -> [StrayQueue] {
        var found: [StrayQueue] = []
        var missing = 0
        var partition = first
        while partition < end, missing < patience {
            if let depth = try await connection.depth(ofQueue: name(partition)) {
                found.append(StrayQueue(partition: partition, name: name(partition), depth: depth))
                missing = 0
            } else {
                missing += 1
            }
            partition += 1
        }
        return found
    }
}
