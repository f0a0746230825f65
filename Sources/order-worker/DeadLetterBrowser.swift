// Goes through the dead letters from front to back and leaves what isn't removed as it was.

internal import AMQP
internal import Logging
internal import OrderWorker

/// A dead letter in hand.
struct HeldDeadLetter: Sendable {
    let record: DeadLetterRecord
    let message: Message
}

/// Reads the dead letters that are there when it begins.
///
/// They are consumed with room for all of them and not acknowledged. RabbitMQ gives what one consumer held back in its old
/// order, even when the connection breaks; messages fetched one by one (`basic.get`), or given back one by one, come back
/// in another. For the same reason nothing is given back before the end.
struct DeadLetterBrowser {
    /// How many dead letters there are: those that arrive later don't count.
    let total: Int
    /// The name under which this program logs in.
    let ownUser: String
    private var segments: DeadLetterSegments
    private var seen = 0
    private(set) var removed = 0

    /// Looks how many there are.
    ///
    /// - Parameters:
    ///   - limit: the most that one consumer may hold.
    ///   - connect: makes a connection that keeps what it can't read.
    /// - Throws: ``Failure`` if the queue doesn't exist or somebody else is reading it; `AMQPError`.
    init(
        topology: TopologyConnection, ownUser: String, limit: UInt16 = .max,
        connect: @escaping () async throws -> ConsumerConnection
    ) async throws {
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
        self.ownUser = ownUser
        total = depth.messages
        segments = DeadLetterSegments(total: total, limit: limit, topology: topology, connect: connect)
    }

    /// The next one; `nil` after the last.
    mutating func next() async throws -> HeldDeadLetter? {
        guard seen < total else { return nil }
        guard let letter = try await segments.next() else {
            throw Failure(
                status: .trouble, message: "Only \(seen) of \(total) dead letters came.",
                advice: "Somebody else took the others meanwhile. Try again.")
        }
        seen = letter.place
        if total > 1000 { Console.progress("\(seen) of \(total)") }
        if seen == total { Console.progress("") }
        guard let message = letter.message else {
            return HeldDeadLetter(
                record: DeadLetterRecord(unreadableAt: seen),
                message: Message(properties: MessageProperties(), body: []))
        }
        return HeldDeadLetter(
            record: DeadLetterRecord(message, place: seen, ownUser: ownUser), message: message)
    }

    /// Removes dead letters for good.
    mutating func remove(_ letters: [HeldDeadLetter]) async throws {
        try await segments.remove(letters.map(\.record.place))
        removed += letters.count
    }

    /// Waits until the broker knows what was removed.
    func settle() async throws { try await segments.finish() }

    /// Lets go of what is left.
    func close() async { await segments.close() }
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
            var reading = configuration
            reading.keepsUnreadable = true
            let (keeping, logger) = (reading, Logger(label: "amqp"))
            var browser = try await DeadLetterBrowser(topology: topology, ownUser: user) {
                try await ConsumerConnection.connect(keeping, logger: logger)
            }
            let result: Result<Value, any Error>
            do {
                let value = try await body(&browser)
                try await browser.settle()
                result = .success(value)
            } catch {
                result = .failure(error)
            }
            await browser.close()
            if case .success = result {
                try await DeadLetterSegments.waitForReturn(of: browser.total - browser.removed, on: topology)
            }
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
}
