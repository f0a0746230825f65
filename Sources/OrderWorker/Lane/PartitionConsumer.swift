// One partition's consumer: a connection of its own, so that nothing that becomes of it touches another partition.

internal import AMQP
internal import Logging
internal import OrderContract
internal import Orders
internal import Tracing

/// Consumes a partition's queue and reads what comes.
///
/// No consumer is ever cancelled. After `basic.cancel`, RabbitMQ gives a delivery that was on its way back to its quorum
/// queue at once, while what was delivered before it is still in hand: should the lane then fail, that comes back behind
/// it, and the customer's commands are out of order. What comes back with the end of a connection comes in order.
actor PartitionConsumer {
    let number: Int
    let partition: Int
    private let prefetch: Int
    private let logger: Logger
    private var connection: ConsumerConnection?
    private var isEnded = false
    /// When what isn't acknowledged arrived, in the order of the tags.
    private var arrivals: [(tag: UInt64, at: ContinuousClock.Instant)] = []
    private let requests: AsyncStream<Void>
    private let request: AsyncStream<Void>.Continuation

    init(number: Int, partition: Int, prefetch: Int, logger: Logger) {
        self.number = number
        self.partition = partition
        self.prefetch = prefetch
        self.logger = logger
        (requests, request) = AsyncStream.makeStream()
    }

    /// Consumes until ``end()`` is called or the connection or the consumer is lost.
    ///
    /// - Parameter mayBegin: asked once the queue is being consumed, before anything of it is handed over: whether the broker
    ///   is the one that the lane knows, and wasn't away meanwhile.
    /// - Returns: why it ended, and whether the broker or the network ended its connection, whatever its queue does.
    func run(
        _ configuration: AMQP.ConnectionConfiguration, _ admission: Admission, _ clock: DatabaseClock,
        mayBegin: @Sendable () async -> Bool, report: @Sendable (LaneEvent<LaneCommand, OutgoingMessage>) -> Void
    ) async -> (reason: String, connectionIsLost: Bool) {
        do {
            let connection = try await ConsumerConnection.connect(configuration, logger: logger)
            self.connection = connection
            if isEnded {
                await connection.close()
                return ("it was ended", false)
            }
            let queue = Topology.queue(partition: partition)
            try await connection.consume(queue: queue, consumerTag: queue, prefetch: UInt16(clamping: prefetch))
            guard await mayBegin() else {
                await connection.close()
                return ("the broker was away meanwhile", false)
            }
            report(.consumerOpened(number))
            for await _ in requests {
                let items = try await receive(connection, admission, clock)
                report(.arrived(consumer: number, items))
            }
            await connection.close()
            return ("it was ended", false)
        } catch {
            if !isEnded { LaneMetrics.reconnects(after: error) }
            await connection?.close()
            return ("\(error)", (error as? AMQPError)?.tellsThatBrokerIsGone ?? false)
        }
    }

    private func receive(
        _ connection: ConsumerConnection, _ admission: Admission, _ clock: DatabaseClock
    ) async throws -> [InHand<LaneCommand>] {
        while true {
            let events = try await connection.nextBatch(maximum: prefetch, until: .now + .seconds(3600))
            let arrival = ContinuousClock.now
            let arrivalTime = LaneTracing.tracer.map { _ in DefaultTracerClock.now }
            var items: [InHand<LaneCommand>] = []
            for event in events {
                switch event {
                case .delivery(let delivery):
                    items.append(item(delivery, admission, now: clock.now, arrival: arrivalTime))
                case .cancelled(let consumerTag):
                    throw ConsumerCancelled(queue: consumerTag)
                }
            }
            guard !items.isEmpty else { continue }
            arrivals += items.map { ($0.place.tag, arrival) }
            LaneMetrics.stage(.read, since: arrival)
            LaneMetrics.redelivered(items.count { $0.deliveryCount > 0 })
            return items
        }
    }

    private func item(
        _ delivery: Delivery, _ admission: Admission, now: Timestamp, arrival: DefaultTracerClock.Timestamp?
    ) -> InHand<LaneCommand> {
        let command = LaneTracing.received(
            admission.read(delivery, partition: partition, now: now), at: arrival)
        return InHand(
            place: Place(partition: partition, consumer: number, tag: delivery.tag), customer: command.customer,
            weight: command.weight, bytes: delivery.footprint, deliveryCount: delivery.deliveryCount, command: command,
            isMarker: command.isMarker)
    }

    /// Asks for the next deliveries.
    nonisolated func receive() { request.yield() }

    func acknowledge(_ acknowledgements: [Acknowledgement]) async throws(AMQPError) {
        let start = ContinuousClock.now
        for acknowledgement in acknowledgements {
            if case .through(let tag) = acknowledgement { try await connection?.acknowledge(through: tag) }
        }
        let others = acknowledgements.compactMap { if case .one(let tag) = $0 { tag } else { nil } }
        if !others.isEmpty { try await connection?.acknowledge(others) }
        LaneMetrics.stage(.acknowledge, since: start)
        for acknowledgement in acknowledgements { noteAcknowledged(acknowledgement) }
    }

    private func noteAcknowledged(_ acknowledgement: Acknowledgement) {
        switch acknowledgement {
        case .through(let tag):
            let done = arrivals.prefix { $0.tag <= tag }
            for delivery in done { LaneMetrics.acknowledged(since: delivery.at) }
            arrivals.removeFirst(done.count)
        case .one(let tag):
            guard let index = arrivals.firstIndex(where: { $0.tag == tag }) else { return }
            LaneMetrics.acknowledged(since: arrivals.remove(at: index).at)
        }
    }

    /// Has the broker put a delivery aside.
    func reject(_ tag: UInt64) async throws(AMQPError) {
        arrivals.removeAll { $0.tag == tag }
        try await connection?.reject(tag, requeue: false)
    }

    /// Ends the consumer: what isn't acknowledged goes back to the queue, in order.
    func end() async {
        isEnded = true
        request.finish()
        await connection?.close()
    }
}

/// The broker ended a consumer.
struct ConsumerCancelled: Error, CustomStringConvertible {
    let queue: String

    var description: String {
        "the broker cancelled the consumer of \(queue): the queue was deleted, or its node failed. "
            + "If it is gone, apply the topology (order-worker topology apply)."
    }
}

extension Delivery {
    /// How often it was delivered before and came back.
    var deliveryCount: Int {
        if case .integer(let count)? = message.properties.headers["x-delivery-count"] { return Int(clamping: count) }
        return isRedelivered ? 1 : 0
    }
}

extension LaneCommand {
    /// What it is likely to become: lines, and kibibytes of what is kept of it.
    var weight: Int {
        switch self {
        case .command(let command):
            command.decoded.command.lineCount + command.decoded.data.count / 1024 + 1
        case .marker: 1
        case .unreadable(let refusal):
            1 + refusal.messages.reduce(0) { $0 + $1.message.body.count } / 1024
        }
    }
}

extension Command {
    /// How many transactions it may make.
    fileprivate var lineCount: Int {
        switch self {
        case .orderSubscriptions(let command): command.subscriptions.reduce(0) { $0 + 1 + $1.inventory.count }
        case .addInventory(let command): command.inventory.count
        case .setRenewalInventory(let command): command.renewalInventory.count
        case .processRefund(let command): command.refunds.count
        default: 1
        }
    }
}
