// Which published messages the broker has confirmed.

/// Matches the broker's confirms and returns with the messages they are for.
///
/// A channel in confirm mode counts what is published on it from 1; the broker settles each number once, alone or with
/// all before it, in any order. What is returned is named by no number, but its return comes before its confirm.
struct ConfirmLedger {
    /// Messages that were published together and are reported together.
    struct Batch {
        /// The number of the first message; the batch's identity.
        let first: UInt64
        let messages: [OutgoingMessage]
        fileprivate(set) var outcomes: [PublishOutcome?]
        /// Why a message was returned, until it is settled.
        fileprivate var returns: [Int: PublishOutcome] = [:]
        fileprivate var unsettled: Int

        fileprivate var end: UInt64 { first + UInt64(messages.count) }

        fileprivate mutating func settle(_ index: Int, isRejected: Bool) {
            guard outcomes[index] == nil else { return }
            outcomes[index] = isRejected ? .rejected : returns.removeValue(forKey: index) ?? .confirmed
            unsettled -= 1
        }
    }

    /// A batch whose messages are all settled.
    struct Settled: Equatable {
        let first: UInt64
        let outcomes: [PublishOutcome]
    }

    private var batches: [Batch] = []
    private var next: UInt64 = 1

    /// Whether anything is published and not settled.
    var isEmpty: Bool { batches.isEmpty }

    /// Enters messages that are published in this order after all that were entered before.
    ///
    /// - Parameter messages: at least one.
    /// - Returns: the number of the first.
    mutating func enter(_ messages: [OutgoingMessage]) -> UInt64 {
        let batch = Batch(
            first: next, messages: messages, outcomes: Array(repeating: nil, count: messages.count),
            unsettled: messages.count)
        batches.append(batch)
        next = batch.end
        return batch.first
    }

    /// Settles a number, or all up to it.
    ///
    /// - Returns: the batches that are now complete; `nil` if the number was never given.
    mutating func settle(_ tag: UInt64, multiple: Bool, isRejected: Bool) -> [Settled]? {
        // RabbitMQ may settle "all so far" with the number 0.
        let last = tag == 0 && multiple ? next - 1 : tag
        guard last > 0, last < next else { return nil }
        var completed = false
        for index in batches.indices {
            if batches[index].first > last { break }
            if multiple {
                let end = Int(min(last + 1, batches[index].end) - batches[index].first)
                for message in 0..<end { batches[index].settle(message, isRejected: isRejected) }
            } else if last < batches[index].end {
                batches[index].settle(Int(last - batches[index].first), isRejected: isRejected)
            }
            if batches[index].unsettled == 0 { completed = true }
        }
        return completed ? takeSettled() : []
    }

    /// Notes that the broker returned a message, which will be settled soon.
    ///
    /// - Returns: false if no such message is waiting.
    mutating func noteReturn(_ envelope: ReturnedEnvelope, message: Message) -> Bool {
        for index in batches.indices {
            for (position, candidate) in batches[index].messages.enumerated() {
                // Messages alike in all this are alike for whoever published them.
                guard batches[index].outcomes[position] == nil, batches[index].returns[position] == nil,
                    candidate.isMandatory, candidate.routingKey == envelope.routingKey,
                    candidate.exchange == envelope.exchange,
                    candidate.message.properties.messageID == message.properties.messageID,
                    candidate.message.properties.correlationID == message.properties.correlationID,
                    candidate.message.body == message.body
                else { continue }
                batches[index].returns[position] = .returned(code: envelope.code, text: envelope.text)
                return true
            }
        }
        return false
    }

    private mutating func takeSettled() -> [Settled] {
        var settled: [Settled] = []
        batches.removeAll { batch in
            guard batch.unsettled == 0 else { return false }
            settled.append(Settled(first: batch.first, outcomes: batch.outcomes.compactMap { $0 }))
            return true
        }
        return settled
    }
}
