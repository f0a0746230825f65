// Goes through the dead letters from front to back and leaves what isn't removed as it was.

internal import AMQP
internal import Logging
internal import OrderWorker

/// A dead letter in hand.
struct HeldDeadLetter: Sendable {
    /// Counts the connection's deliveries.
    let tag: UInt64
    let record: DeadLetterRecord
    let message: Message
}

/// Reads the dead letters that are there when it begins.
///
/// They are consumed by one consumer with room for all of them and not acknowledged. RabbitMQ gives what one consumer held
/// back in its old order, even when the connection breaks; messages fetched one by one (`basic.get`), or given back one by
/// one, come back in another. For the same reason nothing is given back before the end.
struct DeadLetterBrowser {
    /// How many dead letters there are: those that arrive later don't count.
    let total: Int
    /// The name under which this program logs in.
    let ownUser: String
    private let consumer: ConsumerConnection
    private var arrived: ArraySlice<Delivery> = []
    private var seen = 0
    private(set) var removed = 0

    /// The most that one consumer can hold.
    private static let maximum = 65_535
    private static let consumerTag = "dead letters"

    /// Begins to read.
    ///
    /// - Throws: ``Failure`` if the queue doesn't exist or somebody else is reading it; `AMQPError`.
    init(consumer: ConsumerConnection, topology: TopologyConnection, ownUser: String) async throws {
        guard let depth = try await topology.depth(ofQueue: Topology.deadLetters) else {
            throw Failure(
                status: .configuration, message: "The queue \(Topology.deadLetters) doesn't exist.",
                advice: "Run `order-worker topology apply`.")
        }
        if depth.consumers > 0 {
            throw Failure(
                status: .unavailable, message: "Somebody else is reading \(Topology.deadLetters).",
                advice: "Wait until they are done: two at a time would see half of it each.")
        }
        self.consumer = consumer
        self.ownUser = ownUser
        total = min(depth.messages, Self.maximum)
        if total < depth.messages {
            Console.error(
                "note: only the first \(total) of \(depth.messages) dead letters can be looked at; replay or discard some."
            )
        }
        if total > 0 {
            try await consumer.consume(
                queue: Topology.deadLetters, consumerTag: Self.consumerTag, prefetch: UInt16(Self.maximum))
        }
    }

    /// The next one; `nil` after the last.
    mutating func next() async throws -> HeldDeadLetter? {
        guard seen < total else { return nil }
        if arrived.isEmpty {
            let events = try await consumer.nextBatch(maximum: 500, until: .now + .seconds(5))
            let deliveries = events.compactMap { event in
                if case .delivery(let delivery) = event { delivery } else { nil }
            }
            if deliveries.isEmpty {
                throw Failure(
                    status: .trouble, message: "Only \(seen) of \(total) dead letters came.",
                    advice: "Somebody else took the others meanwhile. Try again.")
            }
            arrived = deliveries[...]
        }
        guard let delivery = arrived.popFirst() else { return nil }
        seen += 1
        if total > 1000 { Console.progress("\(seen) of \(total)") }
        if seen == total { Console.progress("") }
        let record = DeadLetterRecord(delivery.message, place: seen, ownUser: ownUser)
        return HeldDeadLetter(tag: delivery.tag, record: record, message: delivery.message)
    }

    /// Removes dead letters for good.
    mutating func remove(_ tags: [UInt64]) async throws {
        try await consumer.acknowledge(tags)
        removed += tags.count
    }

    /// Waits until the broker knows what was removed.
    func settle() async throws {
        // The broker answers in order, so that everything before has been received.
        if total > 0 { try await consumer.cancel(consumerTag: Self.consumerTag) }
    }
}

extension Settings {
    /// Has `body` go through the dead letters. What it doesn't remove is in its old place afterwards.
    func withDeadLetters<Value>(_ body: (inout DeadLetterBrowser) async throws -> Value) async throws -> Value {
        let configuration = try amqp()
        try await refuseHazardousLook()
        let users = Set(configuration.addresses.map(\.user))
        guard let user = users.first, users.count == 1 else {
            throw Failure(
                status: .configuration, message: "The broker's addresses name several users.",
                advice: "Give one user for all: that of the workers.")
        }
        return try await withTopologyConnection { topology in
            let consumer = try await ConsumerConnection.connect(configuration, logger: Logger(label: "amqp"))
            let result: Result<Value, any Error>
            var left = 0
            do {
                var browser = try await DeadLetterBrowser(consumer: consumer, topology: topology, ownUser: user)
                let value = try await body(&browser)
                try await browser.settle()
                left = browser.total - browser.removed
                result = .success(value)
            } catch {
                result = .failure(error)
            }
            await consumer.close()
            if case .success = result { try await Self.waitForReturn(of: left, on: topology) }
            return try result.get()
        }
    }

    /// Each look is a delivery: a policy that lowers the delivery limit would have the broker throw the dead letters away.
    private func refuseHazardousLook() async throws {
        // Where policies can't be seen, the doctor says so.
        guard let management = try management(), let policies = try? await management.policies() else { return }
        guard let hazard = Topology.hazardOfLooking(by: policies) else { return }
        throw Failure(
            status: .refused, message: "The dead letters aren't looked at: \(hazard.text)",
            advice: "Change the policy \(hazard.policy), or give \(Topology.deadLetters) one of a higher priority.")
    }

    /// The broker gives back a moment after the connection has closed: what is run next should find it all.
    private static func waitForReturn(of count: Int, on topology: TopologyConnection) async throws {
        let deadline = ContinuousClock.now + .seconds(2)
        while let depth = try await topology.depth(ofQueue: Topology.deadLetters),
            depth.messages < count || depth.consumers > 0, ContinuousClock.now < deadline
        {
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}
