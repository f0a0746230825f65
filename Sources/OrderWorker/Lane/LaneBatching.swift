// Which deliveries make the next batch, and what becomes of a batch that the database took or refused.

internal import AMQP
internal import OrderStore
internal import Orders

/// A job of the lane's database session, with what it takes to carry on from its answer.
enum LaneJob<Command: Sendable, Message: Sendable>: Sendable {
    case looking
    case taking
    case releasing([Int])
    case readingLeftover(Int)
    case applying([InHand<Command>], clearing: [OutboxPosition])
    case clearing([OutboxPosition])
    case quarantining(Quarantine<Message>.Move)
    case checkingQuarantine
    case readingParked
    case fencing(since: Duration)
}

/// Commands that wait in the database until everything that was published before them is through.
struct Parking: Sendable {
    /// When to look whether some may go on; nil while none are known to wait.
    var nextCheck: Duration?
    /// How long after a look at which nothing could go on the next one follows.
    var interval: Duration?
    /// How many of them are in hand: while there are any, no more are read.
    var inHand = 0
    /// How many customers have commands there.
    var customers = 0
    /// The barrier that is on its way through the queues.
    var barrier: Int64 = 0
    /// When it is sent again to where it hasn't come out, should it have got lost.
    var sendAgainAt = Duration.zero
    var sendAgainAfter = Duration.zero
}

/// A delivery of the batch that is being applied or published.
struct InFlight: Sendable {
    let bytes: Int
    /// How many messages have to be published before it is settled; nil until the batch is committed.
    var messages: Int?
}

/// What the database refuses although the session can still be used: nothing more than one command is tried until it
/// takes that.
struct DatabaseTrouble: Sendable {
    var reason: String?
    var since: Duration?
    var retryAt: Duration?
    /// Whether it was a batch that was refused: only one that is taken shows that it is over.
    var isOfBatches = false
    var backoff = Backoff(minimum: .milliseconds(100), maximum: .seconds(5))
}

extension LaneStateMachine {
    /// How often a command that runs into the statement timeout by itself is tried.
    private static var slowTries: Int { 3 }
    /// How often a command that the database refuses for what is in it is tried by itself: another transaction may have
    /// been in the way.
    private static var refusedTries: Int { 2 }

    // MARK: The next batch

    /// Takes the next batch out of what is pending. In order, but for partitions that are handed over.
    mutating func nextBatch(at now: Duration) -> [Item] {
        let limit = database.reason == nil ? batchLimit : 1
        var batch: [Item] = []
        var rest: [Item] = []
        var weight = 0
        for (index, item) in pending.enumerated() {
            let isFull =
                batch.count >= limit || (batch.last?.isAlone ?? false)
                || (!batch.isEmpty && (item.isAlone || weight + item.weight > limits.weight))
                // The customer's next events come by another partition: its earlier ones must be out by then.
                || (item.isMarker && !(publications.isEmpty && batch.allSatisfy(\.isMarker)))
                || (batch.last?.isMarker ?? false) && !item.isMarker
            if isFull {
                rest += pending[index...]
                break
            }
            let partition = partitions[item.place.partition]
            let isHeld = partition?.isHandedOver ?? true || partition?.gathering != nil
            if isHeld && !item.place.isParked || paused.contains(item.place.partition) {
                rest.append(item)
            } else {
                batch.append(item)
                weight += item.weight
            }
        }
        pending = rest
        return batch
    }

    mutating func enterFlight(_ item: Item) {
        inFlight[item.place] = InFlight(bytes: item.bytes, messages: nil)
        partitions[item.place.partition]?.inFlight += 1
    }

    /// Puts deliveries back before all others; those whose consumer is gone were given back by the broker.
    private mutating func putBack(_ items: [Item]) {
        var kept: [Item] = []
        for item in items {
            guard let flight = inFlight.removeValue(forKey: item.place) else { continue }
            partitions[item.place.partition]?.inFlight -= 1
            if item.place.isParked || partitions[item.place.partition]?.consumer == item.place.consumer {
                kept.append(item)
            } else {
                bytesInHand -= flight.bytes
            }
        }
        pending = kept + pending
    }

    // MARK: What became of it

    mutating func applied(
        _ batch: [Item], _ outcomes: [BatchOutcome], _ messages: [Outgoing<Message>], at now: Duration
    ) {
        guard outcomes.count == batch.count else { return lose("a batch with outcomes for others", at: now) }
        batchLimit = min(limits.batch, batchLimit * 2)
        var counts: [Place: Int] = [:]
        for message in messages {
            if let cause = message.cause { counts[cause, default: 0] += 1 }
        }
        var waiting: [Item] = []
        for (item, outcome) in zip(batch, outcomes) {
            switch outcome {
            case .applied:
                inFlight[item.place]?.messages = counts[item.place, default: 0]
                if counts[item.place] == nil { settle(item.place) }
            case .postponed:
                waiting.append(item)
            case .parked(let partition):
                settle(item.place)
                if let customer = item.customer, !item.place.isParked { note(.held(customer, by: partition)) }
                parking.interval = nil
                parking.nextCheck = now + (item.place.isParked ? limits.parkedInterval : .zero)
            }
        }
        putBack(waiting)
        publish(messages, at: now)
        noteProgress()
    }

    /// Takes commands that waited and may go on. What the others wait for is sent through the queues.
    mutating func readParked(_ items: [Item], customers: Int, _ barrier: BarrierProgress, at now: Duration) {
        let known = Set(partitions.keys)
        let items = items.filter { known.contains($0.place.partition) }
        pending = items + pending
        bytesInHand += items.reduce(0) { $0 + $1.bytes }
        parking.inHand = items.count
        parking.customers = customers
        if !barrier.behind.isEmpty { send(barrier, at: now) }
        if customers == 0, barrier.behind.isEmpty {
            parking.nextCheck = nil
        } else {
            // The longer nothing goes on, the less often it is looked.
            let interval = items.isEmpty ? parking.interval ?? limits.parkedInterval : limits.parkedInterval
            parking.interval = min(interval * 2, limits.parkedInterval * 8)
            parking.nextCheck = now + interval
        }
    }

    /// Sends a barrier through the queues that it hasn't come out of, unless that was done just now.
    private mutating func send(_ barrier: BarrierProgress, at now: Duration) {
        if barrier.number != parking.barrier {
            parking.barrier = barrier.number
            parking.sendAgainAfter = limits.markerInterval
            parking.sendAgainAt = barrier.isNew ? now : now + limits.markerInterval
        }
        guard now >= parking.sendAgainAt, publisher.isFine else { return }
        actions.append(.send(barrier.behind.map { PartitionMarker(partition: $0, .barrier(barrier.number)) }))
        parking.sendAgainAt = now + parking.sendAgainAfter
        parking.sendAgainAfter = min(parking.sendAgainAfter * 2, limits.markerInterval * 16)
    }

    mutating func refused(
        _ batch: [Item], _ refusal: BatchRefusal, _ reason: String, _ deadLetter: [Outgoing<Message>],
        at now: Duration
    ) {
        var batch = batch
        switch refusal {
        case .content:
            // Tried one by one: only the culprit is put aside.
            if batch.count > 1 {
                note(.batchRefused(reason, commands: batch.count))
                for index in batch.indices { batch[index].isSuspect = true }
            } else {
                batch[0].refusals += 1
                batch[0].isSuspect = true
                if batch[0].refusals >= Self.refusedTries {
                    return putAside(batch[0], reason, deadLetter, at: now)
                }
            }
            databaseAnswered(at: now)
        case .timeout:
            if batch.count > 1 {
                batchLimit = max(1, batch.count / 2)
                note(.batchTooSlow(commands: batch.count))
            } else {
                batch[0].timeouts += 1
                if batch[0].timeouts >= Self.slowTries { return putAside(batch[0], reason, deadLetter, at: now) }
                note(.batchTooSlow(commands: 1))
            }
        case .unavailable:
            databaseRefused(reason, ofBatch: true, at: now)
        }
        putBack(batch)
    }

    /// Dead-letters a command that can't be applied although the rules allow it: a defect that must not stop others.
    private mutating func putAside(
        _ item: Item, _ reason: String, _ deadLetter: [Outgoing<Message>], at now: Duration
    ) {
        note(.deadLettered(item.place, reason: reason))
        databaseAnswered(at: now)
        applied([item], [.applied], deadLetter, at: now)
    }

    // MARK: Trouble with the database

    mutating func databaseRefused(_ reason: String, ofBatch: Bool, at now: Duration) {
        let delay = database.backoff.next(using: &random)
        if database.reason == nil { database.since = now }
        database.reason = reason
        database.isOfBatches = database.isOfBatches || ofBatch
        database.retryAt = now + delay
        note(.databaseRefuses(reason, retryIn: delay))
    }

    mutating func databaseAnswered(at now: Duration) {
        guard database.reason != nil else { return }
        database = DatabaseTrouble()
        note(.databaseTakesAgain)
    }

    mutating func jobFailed(_ job: LaneJob<Command, Message>, _ reason: String, at now: Duration) {
        switch job {
        case .clearing(let positions): giveBackPublished(positions, at: now)
        case .readingLeftover(let partition): partitions[partition]?.state = .leftover(.toRead)
        case .quarantining(let move): quarantine.putBack(move)
        case .checkingQuarantine: quarantine.nextCheck = now + limits.quarantineInterval
        case .readingParked: parking.nextCheck = now + limits.parkedInterval
        case .fencing(let since): noteAway(since: since)
        case .looking, .taking, .releasing, .applying: break
        }
        databaseRefused(reason, ofBatch: false, at: now)
    }

    // MARK: Settling deliveries

    /// A delivery is done: it can be acknowledged.
    mutating func settle(_ place: Place) {
        guard let flight = inFlight.removeValue(forKey: place) else { return }
        bytesInHand -= flight.bytes
        partitions[place.partition]?.inFlight -= 1
        if place.isParked { parking.inHand -= 1 }
        guard partitions[place.partition]?.consumer == place.consumer else { return }
        partitions[place.partition]?.ledger.settle(place.tag)
        partitions[place.partition]?.backoff.reset()
    }

    /// A delivery is done, and the broker puts it aside.
    mutating func reject(_ place: Place) {
        guard let flight = inFlight.removeValue(forKey: place) else { return }
        bytesInHand -= flight.bytes
        partitions[place.partition]?.inFlight -= 1
        guard partitions[place.partition]?.consumer == place.consumer else { return }
        partitions[place.partition]?.ledger.forget(place.tag)
        actions.append(.reject(place))
    }

    /// Tells the broker what was settled.
    mutating func acknowledge() {
        for number in partitions.keys.sorted() {
            guard let consumer = partitions[number]?.consumer else { continue }
            let acknowledgements = partitions[number]?.ledger.take() ?? []
            guard !acknowledgements.isEmpty else { continue }
            actions.append(.acknowledge(consumer: consumer, acknowledgements))
        }
    }
}
