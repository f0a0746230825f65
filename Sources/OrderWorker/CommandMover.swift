// Moves commands from a queue where nobody would apply them to an exchange.

public import AMQP
public import Logging
internal import OrderContract

/// Moves commands in their order, each safe in the one place before it leaves the other. Broken off, it may leave some of
/// them in both, which the inbox takes for the same command.
///
/// The account must be the workers' own: from any other, the worker would not believe who published the command first.
public struct CommandMover: Sendable {
    private let configuration: AMQP.ConnectionConfiguration
    private let logger: Logger

    /// Commands in hand at a time.
    private static let prefetch: UInt16 = 500

    public init(_ configuration: AMQP.ConnectionConfiguration, logger: Logger) {
        var configuration = configuration
        configuration.connectionName = "order-worker mover"
        self.configuration = configuration
        self.logger = logger
    }

    /// Moves what is in the queue, or the first of it.
    ///
    /// What can't be moved (its headers leave no room, or can't be read at all) goes to the dead letters.
    ///
    /// - Parameters:
    ///   - exchange: gets each message with the routing key that it has.
    ///   - limit: how many at most.
    /// - Returns: how many have left the queue. None, also where somebody else consumes it.
    /// - Throws: `AMQPError`; ``TopologyError/Code/notMoved`` where the broker doesn't take them there.
    @discardableResult
    func move(from queue: String, to exchange: String, atMost limit: Int = .max) async throws -> Int {
        guard limit > 0 else { return 0 }
        let publisher = try await PublisherConnection.connect(configuration, logger: logger)
        var reading = configuration
        reading.rejectsUnreadable = true
        do {
            let consumer = try await ConsumerConnection.connect(reading, logger: logger)
            do {
                let count = try await move(consumer, publisher, from: queue, to: exchange, atMost: limit)
                await consumer.close()
                await publisher.close()
                return count
            } catch {
                await consumer.close()
                throw error
            }
        } catch {
            await publisher.close()
            throw error
        }
    }

    private func move(
        _ consumer: ConsumerConnection, _ publisher: PublisherConnection, from queue: String, to exchange: String,
        atMost limit: Int
    ) async throws -> Int {
        let relay = Relay(ownUser: configuration.addresses.first?.user ?? "")
        var count = 0
        try await consumer.consume(queue: queue, consumerTag: "mover", prefetch: Self.prefetch)
        while count < limit {
            let events = try await consumer.nextBatch(
                maximum: min(limit - count, Int(Self.prefetch)), until: .now + .seconds(1))
            let deliveries = events.compactMap { event in
                if case .delivery(let delivery) = event { delivery } else { nil }
            }
            if deliveries.isEmpty { break }
            let messages = deliveries.filter { DeadLetter.canPassOn($0.message) }.map { relay.moved($0, to: exchange) }
            let outcomes = try await publisher.publish(messages)
            if let failure = outcomes.first(where: { $0 != .confirmed }) {
                throw TopologyError(
                    .notMoved, during: "moving commands from \(queue) to \(exchange)",
                    cause: "the broker doesn't take one: \(failure)",
                    advice: "Nothing is lost: apply the topology again once the broker takes messages.")
            }
            for delivery in deliveries where !DeadLetter.canPassOn(delivery.message) {
                try await consumer.reject(delivery.tag, requeue: false)
            }
            try await consumer.acknowledge(
                deliveries.filter { DeadLetter.canPassOn($0.message) }.map(\.tag))
            count += deliveries.count
        }
        if count > 0 { logger.notice("commands moved", metadata: ["from": "\(queue)", "commands": "\(count)"]) }
        return count
    }
}
