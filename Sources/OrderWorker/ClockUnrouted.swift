// Sends on what came while a partition's queue was missing.

internal import AMQP
internal import Logging

extension Clock {
    /// Looks whether commands lie in `orders.unrouted`, and sends them on once every partition has its queue.
    func sendUnroutedOn(_ succeeded: () -> Void) async throws {
        try await waitForElection()
        var configuration = amqp
        configuration.connectionName = "order-worker unrouted"
        let connection = try await TopologyConnection.connect(configuration, logger: logger)
        do {
            while !Task.isCancelled, board.status.isElected {
                try await sendUnroutedOn(connection)
                succeeded()
                try await Task.sleep(for: interval)
            }
            await connection.close()
        } catch {
            await connection.close()
            throw error
        }
    }

    private func sendUnroutedOn(_ connection: TopologyConnection) async throws {
        // Without the queue, and without a number of partitions, there is no topology yet.
        guard let depth = try await connection.depth(ofQueue: Topology.unrouted), let partitions = board.partitions
        else {
            return
        }
        if depth.messages == 0 { return }
        for partition in 0..<partitions {
            let queue = Topology.queue(partition: partition)
            if try await connection.depth(ofQueue: queue) == nil {
                logger.warning(
                    "commands wait for a queue that is missing: apply the topology (order-worker topology apply)",
                    metadata: ["queue": "\(queue)", "commands": "\(depth.messages)"])
                return
            }
        }
        // No more than there are now: where a queue is still not bound, they come back.
        try await CommandMover(amqp, logger: logger).move(
            from: Topology.unrouted, to: Topology.commands, atMost: depth.messages)
    }
}
