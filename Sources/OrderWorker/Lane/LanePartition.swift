// One partition of a lane: from its lock to its consumer and back, with a backoff and a reason of its own.

internal import AMQP

/// A partition that a lane owns.
struct LanePartition: Sendable {
    enum State: Sendable, Hashable {
        /// What the owner before left in the outbox has to be published first.
        case leftover(LeftoverStep)
        /// It has no consumer, and gets one at `retryAt`.
        case waiting
        /// Its queue is being consumed by the consumer of this number, as soon as the broker agrees.
        case opening(consumer: Int)
        case consuming(consumer: Int)
        /// Its consumer is being ended.
        case closing(consumer: Int)
        /// It has no consumer and gets none: it is handed over.
        case closed
    }

    enum LeftoverStep: Sendable, Hashable {
        case toRead
        case reading
        case publishing
    }

    var state: State = .leftover(.toRead) {
        didSet { if state != oldValue { hasChanged = true } }
    }
    /// Whether it is to be given to another lane, or back at the end.
    var isHandedOver = false
    var backoff = Backoff(minimum: .milliseconds(250), maximum: .seconds(8))
    var retryAt = Duration.zero
    /// Why it has no consumer.
    var reason: String?
    /// Since when `reason` holds.
    var troubleSince: Duration?
    /// When it came to be in this state.
    var since: Duration
    /// Whether `since` is to be set anew.
    var hasChanged = false

    /// Deliveries that came back from an earlier consumer, as long as more of them may follow; see ``Gathering``.
    var gathering: Gathering?
    var ledger = AcknowledgementLedger()
    /// Deliveries in the batch that is being applied or published.
    var inFlight = 0
    /// When a marker was sent that tells when all from before partitions were added is through.
    var drainMarkedAt: Duration?
    /// Whether the consumer waits to be asked for more.
    var isHungry = false

    init(at now: Duration) {
        since = now
    }

    var consumer: Int? {
        switch state {
        case .opening(let consumer), .consuming(let consumer), .closing(let consumer): consumer
        default: nil
        }
    }

    var isConsuming: Bool { if case .consuming = state { true } else { false } }
}
