// A lane's partitions and their consumers: which are consumed, which wait, and what they deliver.

internal import AMQP
internal import OrderStore
internal import Orders

extension LaneStateMachine {
    // MARK: Partitions

    mutating func tendPartitions(at now: Duration) {
        for partition in share.release { partitions[partition]?.isHandedOver = true }
        for number in partitions.keys.sorted() {
            guard var partition = partitions[number] else { continue }
            tend(&partition, number, at: now)
            partitions[number] = partition
        }
    }

    private mutating func tend(_ partition: inout LanePartition, _ number: Int, at now: Duration) {
        let isIdle = partition.inFlight == 0
        switch partition.state {
        case .leftover(.toRead) where partition.isHandedOver:
            partition.state = .closed
        case .leftover, .closed, .opening, .closing:
            break
        case .waiting:
            // What its consumer before had in hand has to be done: its events come first.
            guard isIdle else { return }
            if partition.isHandedOver {
                partition.state = .closed
            } else if now >= partition.retryAt, publisher.isFine, mayConsume, !paused.contains(number) {
                lastConsumer += 1
                partition.state = .opening(consumer: lastConsumer)
                partition.ledger = AcknowledgementLedger()
                partition.gathering = Gathering()
                actions.append(.consume(partition: number, consumer: lastConsumer, prefetch: limits.prefetch))
            }
        case .consuming(let consumer):
            if let gathering = partition.gathering, gathering.isOver(at: now) {
                partition.gathering = nil
                orderPending(of: number)
            }
            if isIdle, partition.isHandedOver || paused.contains(number) {
                dropPending(of: number)
                partition.state = .closing(consumer: consumer)
                partition.isHungry = false
                actions.append(.endConsumer(consumer))
            }
        }
    }

    /// That the broker was away has to be noted before anything more is taken from it.
    private var mayConsume: Bool {
        if case .fencing = job { false } else { awaySince == nil }
    }

    mutating func consumerOpened(_ consumer: Int, at now: Duration) {
        guard let number = partition(of: consumer), case .opening = partitions[number]?.state else { return }
        partitions[number]?.state = .consuming(consumer: consumer)
        partitions[number]?.isHungry = true
        partitions[number]?.reason = nil
        partitions[number]?.troubleSince = nil
    }

    mutating func consumerEnded(
        _ consumer: Int, _ reason: String, connectionIsLost: Bool, at now: Duration
    ) {
        guard let number = partition(of: consumer), var partition = partitions[number] else { return }
        if connectionIsLost, partition.isConsuming { brokerLost(at: now) }
        dropPending(of: number)
        partition.isHungry = false
        if case .closing = partition.state {
            // A paused one stays owned, and is consumed again once it may be.
            partition.state = partition.isHandedOver ? .closed : .waiting
            partition.retryAt = now
        } else {
            let delay = partition.backoff.next(using: &random)
            partition.retryAt = now + delay
            partition.reason = reason
            if partition.troubleSince == nil { partition.troubleSince = now }
            partition.state = .waiting
            if !isStopping { note(.partitionWaits(number, reason: reason, retryIn: delay)) }
        }
        partitions[number] = partition
    }

    func partition(of consumer: Int) -> Int? {
        partitions.first { $0.value.consumer == consumer }?.key
    }

    // MARK: Deliveries

    mutating func arrived(_ items: [Item], from consumer: Int, at now: Duration) {
        guard let number = partition(of: consumer), partitions[number]?.isConsuming == true else { return }
        partitions[number]?.gathering?.note(
            deliveryCounts: items.map(\.deliveryCount), limit: limits.prefetch, at: now)
        partitions[number]?.ledger.note(items.map(\.place.tag))
        partitions[number]?.isHungry = true
        pending += items
        bytesInHand += items.reduce(0) { $0 + $1.bytes }
    }

    /// Lets consumers hand over more while there is room for it.
    mutating func askForMore() {
        for number in partitions.keys.sorted() where bytesInHand < limits.bytesInHand {
            guard let partition = partitions[number], partition.isHungry, !partition.isHandedOver,
                case .consuming(let consumer) = partition.state
            else { continue }
            partitions[number]?.isHungry = false
            actions.append(.receive(consumer: consumer))
        }
    }

    /// Puts what came back into the order of the queue.
    private mutating func orderPending(of partition: Int) {
        let isOwn = { (item: Item) in item.place.partition == partition && !item.place.isParked }
        let own = Gathering.ordered(pending.filter(isOwn))
        pending = pending.filter { !isOwn($0) } + own
    }

    /// Forgets what came to a partition's consumer and is in no batch: it goes back to its queue with the consumer.
    private mutating func dropPending(of partition: Int) {
        pending.removeAll { item in
            guard item.place.partition == partition else { return false }
            bytesInHand -= item.bytes
            if item.place.isParked { parking.inHand -= 1 }
            return true
        }
    }

    /// Sends a marker through each partition that may hold commands from before partitions were added, once all that comes
    /// goes by the new ring.
    mutating func drain(_ undrained: Set<Int>, of count: Int, at now: Duration) {
        guard let last = undrained.max(), count > last + 1 else { return }
        for number in undrained.sorted() where partitions[number]?.isConsuming == true {
            if let marked = partitions[number]?.drainMarkedAt, now - marked < limits.markerInterval { continue }
            partitions[number]?.drainMarkedAt = now
            actions.append(.send([PartitionMarker(partition: number, .drained)]))
        }
    }
}
