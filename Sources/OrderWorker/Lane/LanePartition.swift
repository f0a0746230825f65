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

    /// How many deliveries may be in hand, unacknowledged.
    var window = 1
    /// How many should be by now.
    private(set) var wantedWindow = 1
    /// How many deliveries were settled since the consumer was lost last.
    private var settled = 0

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

    // MARK: Slow start

    /// Whether the consumer is to be opened again with a larger window. Each costs a connection, so it grows fourfold.
    func isToGrow(limit: Int) -> Bool {
        let wanted = min(wantedWindow, limit)
        return wanted >= 4 * window || (wanted == limit && window < limit)
    }

    /// Notes how often what arrived had been delivered before. Before what never was, nothing is left that was in hand when
    /// a worker died: then nothing speaks against a full window.
    mutating func noteArrival(deliveryCounts: [Int], limit: Int) {
        if deliveryCounts.contains(0) { wantedWindow = limit }
    }

    /// Notes progress: the window doubles with it.
    mutating func noteSettled(_ count: Int, limit: Int) {
        settled += count
        wantedWindow = min(limit, max(wantedWindow, settled + 1))
        backoff.reset()
    }

    /// Begins anew after the consumer was lost: an outage must cost a command one delivery, however long it lasts.
    mutating func slowDown() {
        window = 1
        wantedWindow = 1
        settled = 0
    }
}
