// Publishes dead letters as the commands that they were, and removes what the broker has confirmed.

internal import AMQP

/// Sends dead letters again, some at a time, in their order.
struct DeadLetterReplayer {
    /// What became of the dead letters that were asked for.
    struct Tally: Sendable {
        var replayed = 0
        /// Those that can't be sent, and those that the broker didn't take.
        var kept = 0
        /// Why it stopped before the end.
        var trouble: Failure?
    }

    private let publisher: PublisherConnection
    /// How much is published before it is removed.
    private static let (maximumCount, maximumSize) = (200, 8 << 20)

    init(_ publisher: PublisherConnection) {
        self.publisher = publisher
    }

    /// Sends what is selected. Stops where the broker doesn't take something.
    ///
    /// A message is removed only once the broker has confirmed it. In a crash between the two it is sent again next time.
    ///
    /// - Parameter report: is given a line for each.
    func replay(
        _ selection: DeadLetterSelection, from browser: inout DeadLetterBrowser, report: (String) -> Void
    ) async throws -> Tally {
        var tally = Tally()
        var chunk: [(letter: HeldDeadLetter, command: OutgoingMessage)] = []
        var size = 0
        while let letter = try await browser.next() {
            guard selection.includes(letter.record) else { continue }
            switch DeadLetterReplay.make(letter.message, letter.record, ownUser: browser.ownUser) {
            case .failure(let obstacle):
                tally.kept += 1
                report("kept   \(letter.record.label): \(obstacle.text)")
            case .success(let command):
                chunk.append((letter, command))
                size += letter.record.size
            }
            if chunk.count >= Self.maximumCount || size >= Self.maximumSize {
                try await send(chunk, from: &browser, &tally, report)
                (chunk, size) = ([], 0)
            }
            if tally.trouble != nil { return tally }
        }
        try await send(chunk, from: &browser, &tally, report)
        return tally
    }

    private func send(
        _ chunk: [(letter: HeldDeadLetter, command: OutgoingMessage)], from browser: inout DeadLetterBrowser,
        _ tally: inout Tally, _ report: (String) -> Void
    ) async throws {
        if chunk.isEmpty { return }
        let outcomes: [PublishOutcome]
        do throws(AMQPError) {
            outcomes = try await publisher.publish(chunk.map(\.command))
        } catch {
            guard error.code == .invalidArgument else { throw error }
            // None was sent: one of them can't be, and holds the others up no longer.
            if chunk.count > 1 {
                for item in chunk { try await send([item], from: &browser, &tally, report) }
                return
            }
            tally.kept += 1
            report("kept   \(chunk[0].letter.record.label): \(error.cause)")
            return
        }
        let confirmed = zip(chunk, outcomes).filter { $0.1 == .confirmed }.map(\.0.letter)
        try await browser.remove(confirmed)
        for letter in confirmed { report("sent   \(letter.record.label)") }
        tally.replayed += confirmed.count
        for (item, outcome) in zip(chunk, outcomes) where outcome != .confirmed {
            tally.kept += 1
            report("kept   \(item.letter.record.label): the broker didn't take it")
            tally.trouble = Failure(
                status: .trouble, message: "The broker didn't take \(tally.kept) of the commands.",
                advice: "Check with `order-worker doctor` that the topology is complete, then try again.")
        }
    }
}

extension DeadLetterRecord {
    /// What identifies it in a line.
    var label: String { "\((type ?? "").visible.padded(to: 22)) \(id.visible) \(reason.visible)" }
}
