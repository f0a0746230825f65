// Order per customer that doesn't rest on the broker's hash ring. Pure.

internal import AMQP
internal import OrderContract
internal import OrderStore
internal import Orders

/// Sees to it that a customer's commands are applied in order although they come by other partitions than before.
///
/// What waits is parked in the database, so that only that customer's commands stand still, never a partition.
///
/// The ring of a consistent-hash exchange doesn't stand still in every version of RabbitMQ, and it moves when partitions are
/// added. So each customer's row knows the partition of its last command. A command that comes by another one waits for a
/// *barrier*: a number that is sent through every partition's queue, so that once it has come out of all of them, all that was
/// published before is applied or parked. Then the parked commands are applied, of each partition in the order of its queue,
/// and among partitions by when they were published, as the broker or else the sender says. Between two partitions there is
/// another barrier, behind which the first one's events are out.
///
/// A customer that comes back to a partition that still holds commands from before is known by that time alone: what was
/// published after something that is parked elsewhere waits behind it. And where that hasn't even been seen yet, by a *fence*:
/// the broker was away, so the ring may have moved, and what was published since waits until what was before is through.
///
/// Of a customer without a row nobody knows whether its creation waits elsewhere. So when partitions are added, a marker goes
/// through each queue that there was; until it has come out, such a customer waits in the other partitions.
struct PartitionOrder {
    /// Of each customer's last command.
    private(set) var partitions: [CustomerID: Int]
    /// Customers whose parked commands came by another partition than their last ones.
    private(set) var moves: [CustomerMove] = []
    /// The partitions whose marker has come out.
    private(set) var drained: Set<Int> = []
    /// The barriers that have come out.
    private(set) var passed: [Int: Int64] = [:]
    /// How many partitions there are; nil where that isn't known. A partition beyond has nothing left.
    private let count: Int?
    /// The partitions that may hold commands from before partitions were added.
    private let undrained: Set<Int>
    /// The last barrier that was begun.
    private let barrier: Int64
    private let fences: [Fence]

    /// What is parked, with what this batch adds to it.
    private var parked: [CustomerID: [Int: ParkedBacklog]] = [:]
    /// Parked commands that were looked at and have to stay, and with them what is behind.
    private var staying: Set<ParkedWay> = []

    init(
        partitions: [CustomerID: Int], count: Int?, undrained: Set<Int> = [], barrier: Int64 = 0, fences: [Fence] = [],
        parked: [ParkedWay: ParkedBacklog] = [:]
    ) {
        self.partitions = partitions
        self.count = count
        self.undrained = undrained
        self.barrier = barrier
        self.fences = fences
        for (way, backlog) in parked where backlog.count > 0 {
            self.parked[way.customer, default: [:]][way.partition] = backlog
        }
    }

    /// What a command waits for.
    struct Wait: Sendable, Hashable {
        /// The partition that holds what comes first, as far as that is known.
        let holder: Int
        let needs: Int64
        let orderedAt: Timestamp
    }

    /// Takes a customer's command, which came by a partition, into the batch.
    ///
    /// - Parameters:
    ///   - time: when it was published, as far as the broker or its sender says.
    ///   - now: the time that it is.
    /// - Returns: how it has to wait; nil where it may be applied.
    mutating func take(_ customer: CustomerID, by partition: Int, at time: Timestamp?, now: Timestamp) -> Wait? {
        let ways = parked[customer] ?? [:]
        let time = time.map { min($0, now) }
        let others = ways.filter { $0.key != partition }
        let fence = time.flatMap { time in fences.last { $0.since <= time } }
        let holder: Int?
        if ways[partition] != nil {
            holder = partition
        } else if let last = self.holder(of: customer, at: partition) {
            holder = last
        } else if let first = others.min(by: Self.isBefore),
            first.value.isFree || time.map({ first.value.first < $0 }) ?? false
        {
            // What is free was published before all that comes out of any queue now.
            holder = first.key
        } else {
            holder = fence.map { _ in partition }
        }
        guard let holder else {
            partitions[customer] = partition
            return nil
        }
        let last = ways.max { ($0.value.last, $0.key) < ($1.value.last, $1.key) }?.key
        let isFenced = holder == partition && ways.isEmpty
        let needs = last == partition ? 0 : isFenced ? fence?.barrier ?? 0 : barrier + 1
        var own = ways[partition] ?? ParkedBacklog(count: 0, first: now, last: time ?? now, isFree: false)
        own.last = max(own.last, time ?? now)
        if own.count == 0 { own.first = own.last }
        own.count += 1
        if needs > 0 { own.isFree = false }
        parked[customer, default: [:]][partition] = own
        return Wait(holder: holder, needs: needs, orderedAt: own.last)
    }

    /// Takes a parked command into the batch.
    ///
    /// - Returns: the partition that it still waits for; nil where it may be applied.
    mutating func takeParked(_ customer: CustomerID, by partition: Int, orderedAt: Timestamp) -> Int? {
        let way = ParkedWay(customer: customer, partition: partition)
        let others = (parked[customer] ?? [:]).filter { $0.key != partition }
        guard var own = parked[customer]?[partition], own.isFree, !staying.contains(way),
            !others.contains(where: { ($0.value.first, $0.key) < (orderedAt, partition) })
        else {
            staying.insert(way)
            return others.min(by: Self.isBefore)?.key ?? partition
        }
        own.count -= 1
        parked[customer]?[partition] = own.count > 0 ? own : nil
        // What others hold needs another barrier: by then the events of this one are out.
        for other in others.keys { parked[customer]?[other]?.isFree = false }
        if partitions[customer] != partition || !others.isEmpty {
            moves.append(CustomerMove(customer: customer, to: partition))
        }
        partitions[customer] = partition
        return nil
    }

    /// Takes a marker, before which everything is applied or parked.
    mutating func take(_ marker: PartitionMarker) {
        switch marker.purpose {
        case .barrier(let number): passed[marker.partition] = max(passed[marker.partition, default: 0], number)
        case .drained: drained.insert(marker.partition)
        }
    }

    private typealias Way = (key: Int, value: ParkedBacklog)

    private static func isBefore(_ left: Way, _ right: Way) -> Bool {
        (left.value.first, left.key) < (right.value.first, right.key)
    }

    private func holder(of customer: CustomerID, at partition: Int) -> Int? {
        guard let last = partitions[customer] else {
            let left = undrained.subtracting(drained)
            return left.contains(partition) ? nil : left.min()
        }
        guard last != partition else { return nil }
        if let count, last >= count { return nil }
        return last
    }
}

/// A message through a partition's queue: when it comes out, everything before it is applied.
struct PartitionMarker: Sendable, Hashable {
    enum Purpose: Sendable, Hashable {
        /// A barrier, by its number.
        case barrier(Int64)
        /// Says that the partition holds nothing from before partitions were added.
        case drained
    }

    let partition: Int
    let purpose: Purpose

    private static let barrierType = "partition.barrier"
    private static let drainedType = "partition.drained"
    /// What handed a single customer over, up to version 12 of the schema.
    private static let handOverType = "customer.hand-over"
    private static let numberHeader = "x-order-worker-barrier"

    init(partition: Int, _ purpose: Purpose) {
        self.partition = partition
        self.purpose = purpose
    }

    /// The message, under the worker's own name: from nobody else it counts.
    func message(user: String) -> OutgoingMessage {
        var headers: [String: FieldValue] = [:]
        var type = Self.drainedType
        if case .barrier(let number) = purpose {
            type = Self.barrierType
            headers = [Self.numberHeader: .integer(number)]
        }
        return OutgoingMessage(
            exchange: "", routingKey: Topology.queue(partition: partition), isMandatory: true,
            message: Message(
                properties: MessageProperties(
                    type: type, userID: user, appID: EventMessage.source, headers: headers,
                    deliveryMode: .persistent)))
    }

    /// Reads a marker that came by `partition`; nil where the message is none.
    init?(_ message: Message, partition: Int, ownUser: String) {
        let properties = message.properties
        guard properties.userID == ownUser else { return nil }
        switch properties.type {
        case Self.drainedType:
            self.init(partition: partition, .drained)
        case Self.barrierType:
            guard case .integer(let number)? = properties.headers[Self.numberHeader] else { return nil }
            self.init(partition: partition, .barrier(number))
        case Self.handOverType:
            self.init(partition: partition, .barrier(0))
        default:
            return nil
        }
    }
}
