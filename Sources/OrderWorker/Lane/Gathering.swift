// The order of deliveries that came back: a quorum queue doesn't keep it.

/// What a consumer is delivered first, until all is there that an earlier consumer had in hand.
///
/// A quorum queue puts what comes back with the end of a consumer behind everything that came back before (RabbitMQ's
/// `rabbit_fifo`; seen with 3.10). So where a consumer ends before it was delivered all that its predecessor gave back, the
/// front of the queue is behind the rest. But at each time a consumer has a front part of the queue in hand, so what stands
/// further in front has been delivered more often: the delivery count tells the order.
///
/// For this each consumer has to see all that came back before it takes anything. So all have the same prefetch, which is
/// as much as can have come back, and they begin with all of it, not with a small window: that would cost an outage fewer
/// delivery counts, but the order.
struct Gathering: Sendable {
    /// How many deliveries of one partition may be unacknowledged, in every worker.
    static let prefetch = 500
    /// After so long without another delivery there are no more.
    static let quiet = Duration.milliseconds(250)

    /// When the last one came.
    private(set) var last: Duration?
    private var counts: [Int] = []
    private var isComplete = false

    /// When nothing more is expected.
    var deadline: Duration? { last.map { $0 + Self.quiet } }

    /// Notes deliveries. Before one that is new nothing is left of what came back.
    mutating func note(deliveryCounts: [Int], limit: Int, at now: Duration) {
        last = now
        counts += deliveryCounts
        if deliveryCounts.contains(0) || counts.count >= limit { isComplete = true }
    }

    func isOver(at now: Duration) -> Bool { isComplete || (deadline.map { now >= $0 } ?? false) }

    /// The deliveries in the order of the queue.
    static func ordered<Command>(_ items: [InHand<Command>]) -> [InHand<Command>] {
        items.enumerated().sorted { left, right in
            left.element.deliveryCount == right.element.deliveryCount
                ? left.offset < right.offset : left.element.deliveryCount > right.element.deliveryCount
        }.map(\.element)
    }
}
