// What a lane's state machine handles: deliveries in hand, messages on their way out, and where they stand.

internal import OrderStore
internal import Orders

/// Where a delivery stands: in which partition, and which of which consumer's deliveries it is.
struct Place: Hashable, Sendable {
    let partition: Int
    /// Counts the consumers that the lane has opened. What came to an earlier one can't be acknowledged any more.
    let consumer: Int
    /// The delivery's tag; of a parked command, its position.
    let tag: UInt64

    /// The consumer of commands that come from where they were parked.
    static let parking = 0

    var isParked: Bool { consumer == Self.parking }
}

/// A delivery that a lane has in hand.
struct InHand<Command: Sendable>: Sendable {
    let place: Place
    /// nil where the message can't be read.
    let customer: CustomerID?
    /// What it is likely to become: lines and kibibytes, at least 1.
    let weight: Int
    /// What it takes in memory, roughly.
    let bytes: Int
    /// How often it was delivered before.
    let deliveryCount: Int
    let command: Command
    /// Of a parked command: when it was published, as far as anybody knows.
    var orderedAt: Timestamp?
    /// Whether it is a marker: before that all earlier events have to be published.
    var isMarker = false
    /// Whether it goes into a batch of its own, because a batch that it was in was refused.
    var isSuspect = false
    /// How often the database refused it for what is in it, while it was alone.
    var refusals = 0
    /// How often it ran into the statement timeout, while it was alone.
    var timeouts = 0

    /// Only what kills a worker comes near the delivery limit: what was delivered this often is applied alone.
    static var suspiciousDeliveryCount: Int { 5 }

    var isAlone: Bool { isSuspect || deliveryCount >= Self.suspiciousDeliveryCount }
}

/// A message that follows from a batch, or that a partition's owner before left in the outbox.
struct Outgoing<Message: Sendable>: Sendable {
    /// Where it stands while it isn't published.
    enum Source: Sendable, Hashable {
        case outbox(OutboxPosition)
        /// Behind an event of its customer that the broker didn't take.
        case quarantine(QuarantinePosition)
        /// Nowhere: it is made again when its command is delivered again.
        case delivery
        /// Nowhere, and it is the dead letter of its command, which the broker can put aside too.
        case deadLetter
    }

    /// The delivery that is settled once this is published.
    let cause: Place?
    let customer: CustomerID
    let partition: Int
    let source: Source
    let message: Message
    /// The size of its body.
    var bytes = 0

    /// Whether it stands in the database until it is published.
    var isStored: Bool {
        switch source {
        case .outbox, .quarantine: true
        case .delivery, .deadLetter: false
        }
    }
}

/// What became of a delivery in a batch.
enum BatchOutcome: Sendable, Hashable {
    case applied
    /// Another partition may still hold earlier commands of its customer: it was parked, or stays so.
    case parked(by: Int)
    /// The batch had become too large in memory.
    case postponed
}

/// Why the database didn't take a batch.
enum BatchRefusal: Sendable, Hashable {
    /// Because of what is in it: SQLSTATE classes 22, 23 and 54.
    case content
    /// It took longer than the statement timeout.
    case timeout
    /// Anything else, on a session that can still be used: rights, a missing table, a full disk, a lock.
    case unavailable
}

/// Why messages weren't published.
enum PublishFailure: Sendable, Hashable {
    /// The connection is lost, and with it what became of those that weren't settled.
    /// `brokerIsGone`: whether the broker or the network ended it, rather than that a queue didn't answer in time.
    case lost(String, brokerIsGone: Bool = true)
    /// The broker will never take one of them: it is too large, or can't be encoded.
    case unpublishable(String, connectionIsLost: Bool)
}

/// What became of a published message.
enum PublishResult: Sendable, Hashable {
    case confirmed
    /// A queue refused it, or none took it; with what is known of that.
    case refused(String)
}
