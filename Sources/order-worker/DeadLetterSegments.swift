// Holds the dead letters on as many connections as it takes to look past those whose headers can't be read.

internal import AMQP
internal import Logging
internal import OrderWorker

/// The dead letters from the front of the queue, in hand.
///
/// One consumer may hold 65,535 of them (RabbitMQ's quorum queues take no limit for one of 2,000); then another takes what
/// follows. The AMQP library can't go on after a message whose headers it can't decode. So what came until then, that message
/// included, is taken once more by a consumer that may hold no more than that, whose connection is kept and not read any
/// further, and another consumer takes what follows.
struct DeadLetterSegments {
    /// A message of the queue; `nil` for one whose headers can't be read.
    typealias Letter = (place: Int, message: Message?)

    private struct Segment {
        let consumer: ConsumerConnection
        /// The delivery tags of the letters in hand, by their places.
        var tags: [Int: UInt64] = [:]
    }

    private let connect: () async throws -> ConsumerConnection
    private let topology: TopologyConnection
    private var segments: [Segment] = []
    private var arrived: ArraySlice<Delivery> = []
    private var seen = 0
    private var removed = 0
    private let total: Int
    /// The most that one consumer may hold.
    private let limit: UInt16

    private static let consumerTag = "dead letters"

    /// - Parameters:
    ///   - total: how many letters there are.
    ///   - connect: makes a connection that keeps what it can't read.
    init(
        total: Int, limit: UInt16 = .max, topology: TopologyConnection,
        connect: @escaping () async throws -> ConsumerConnection
    ) {
        self.total = total
        self.limit = limit
        self.topology = topology
        self.connect = connect
    }

    /// The next letter; `nil` when none came for some seconds.
    mutating func next() async throws -> Letter? {
        if arrived.isEmpty {
            let hasRoom = segments.last.map { $0.tags.count < limit } ?? false
            if !hasRoom {
                if let full = segments.last?.consumer { try await Self.stop(full) }
                try await open(prefetch: limit)
            }
            let consumer = segments[segments.count - 1].consumer
            arrived = try await Self.deliveries(from: consumer)[...]
            if arrived.isEmpty {
                guard await consumer.unreadable != nil else { return nil }
                return try await passUnreadable()
            }
        }
        guard let delivery = arrived.popFirst() else { return nil }
        seen += 1
        segments[segments.count - 1].tags[seen] = delivery.tag
        return (seen, delivery.message)
    }

    /// Removes letters for good.
    mutating func remove(_ places: [Int]) async throws {
        for index in segments.indices {
            let tags = places.compactMap { segments[index].tags.removeValue(forKey: $0) }
            if !tags.isEmpty { try await segments[index].consumer.acknowledge(tags) }
            removed += tags.count
        }
    }

    /// Waits until the broker knows what was removed. Only ``close()`` lets the others go, back to their places.
    func finish() async throws {
        guard let last = segments.last else { return }
        try await Self.stop(last.consumer)
    }

    /// Has a consumer keep what it has and take no more. The broker answers in order, so that everything before has been
    /// received; but where something can't be read, its answer can't be either.
    private static func stop(_ consumer: ConsumerConnection) async throws {
        if await consumer.unreadable == nil {
            try await consumer.cancel(consumerTag: consumerTag)
        } else {
            try await consumer.abandon(consumerTag: consumerTag)
        }
    }

    func close() async {
        for segment in segments { await segment.consumer.close() }
    }

    // MARK: Past what can't be read

    private mutating func open(prefetch: UInt16) async throws {
        let consumer = try await connect()
        segments.append(Segment(consumer: consumer))
        try await consumer.consume(
            queue: Topology.deadLetters, consumerTag: Self.consumerTag, prefetch: prefetch)
    }

    private static func deliveries(from consumer: ConsumerConnection) async throws -> [Delivery] {
        let events = try await consumer.nextBatch(maximum: 500, until: .now + .seconds(5))
        return events.compactMap { event in
            if case .delivery(let delivery) = event { delivery } else { nil }
        }
    }

    private mutating func passUnreadable() async throws -> Letter {
        // Its connection holds what came after it too, which can't be read there.
        let broken = segments.removeLast()
        let places = broken.tags.keys.sorted()
        let held = segments.reduce(0) { $0 + $1.tags.count }
        await broken.consumer.close()
        try await Self.waitForReturn(of: total - removed - held, on: topology)

        guard let prefetch = UInt16(exactly: places.count + 1), prefetch > 0 else {
            throw Failure(
                status: .trouble, message: "The headers of dead letter \(seen + 1) can't be read.",
                advice: "Replay or discard some of those before it, then look again.")
        }
        try await open(prefetch: prefetch)
        let index = segments.count - 1
        var tags: [UInt64] = []
        while tags.count < places.count {
            let again = try await Self.deliveries(from: segments[index].consumer)
            if again.isEmpty { break }
            tags += again.map(\.tag)
        }
        guard tags.count == places.count, let unreadable = await segments[index].consumer.unreadableSoon() else {
            throw Failure(
                status: .trouble, message: "The dead letters before number \(seen + 1) didn't come again.",
                advice: "Somebody else took them meanwhile. Try again.")
        }
        seen += 1
        segments[index].tags = Dictionary(
            zip(places + [seen], tags + [unreadable]), uniquingKeysWith: { first, _ in first })
        // It keeps what it has, and takes no more when some of that is removed.
        try await Self.stop(segments[index].consumer)
        if seen < total { try await open(prefetch: limit) }
        return (seen, nil)
    }

    /// The broker gives back a moment after a connection has closed: who looks next should find it all.
    static func waitForReturn(of count: Int, on topology: TopologyConnection) async throws {
        let deadline = ContinuousClock.now + .seconds(2)
        while let depth = try await topology.depth(ofQueue: Topology.deadLetters),
            depth.messages < count || depth.consumers > 0, ContinuousClock.now < deadline
        {
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}

extension ConsumerConnection {
    /// The delivery that can't be read, which is on its way.
    fileprivate func unreadableSoon() async -> UInt64? {
        let deadline = ContinuousClock.now + .seconds(5)
        while unreadable == nil, ContinuousClock.now < deadline {
            guard (try? await nextBatch(maximum: 1, until: deadline)) != nil else { return unreadable }
        }
        return unreadable
    }
}
