// What a lane does next, decided without doing it: deliveries, answers and the passing of time in, actions out.

internal import AMQP
internal import OrderStore
internal import Orders

/// A lane as a value. It knows no connection, no clock and no task, so that a simulator can drive it through any order of
/// events; ``Lane`` performs what it decides.
///
/// At most one job runs on the database session, and at most one publication is under way; while one batch is being
/// published the next is applied. Nothing that one partition's consumer does touches another's deliveries.
///
/// What goes wrong stops what depends on it and nothing else:
/// - a consumer: its partition, with a backoff of its own (``LanePartition``);
/// - publishing: taking new batches (``PublishingTrouble``);
/// - the database, on a session that can still be used: taking more than one command at a time (``DatabaseTrouble``);
/// - the session itself: the lane, which gives everything back once and connects again.
///
/// Times are those since the lane began.
struct LaneStateMachine<Command: Sendable, Message: Sendable>: Sendable {
    typealias Item = InHand<Command>
    typealias Event = LaneEvent<Command, Message>
    typealias Action = LaneAction<Command, Message>

    enum Phase: Sendable, Hashable {
        case disconnected(until: Duration)
        case connecting
        case serving
        /// Closing all connections, to connect again or for good.
        case closing(isFinal: Bool)
        case finished
    }

    let limits: LaneLimits
    private(set) var phase: Phase = .disconnected(until: .zero)
    var isStopping = false
    /// Why the lane lost its connections last; nil once it has made progress.
    var lastLoss: String?

    var partitions: [Int: LanePartition] = [:]
    /// Deliveries that are in hand and in no batch, in the order in which they came.
    var pending: [Item] = []
    var parking = Parking()
    /// The deliveries in the batch that is being applied or published.
    var inFlight: [Place: InFlight] = [:]
    /// Bytes of all deliveries in hand.
    var bytesInHand = 0

    var job: LaneJob<Command, Message>?
    var database = DatabaseTrouble()
    var batchLimit: Int
    var publications: [Publication<Message>] = []
    /// How many messages of the first publication are on their way.
    var publishing: Int?
    var publisher = PublishingTrouble()
    /// Published, and to be removed from the outbox with the next transaction.
    var published: [OutboxPosition] = []
    var publishedSince: Duration?
    var quarantine = Quarantine<Message>()

    var share = (take: [Int](), release: [Int]())
    private var rankKey: Int32 = 0
    private var nextLook = Duration.zero
    private var lastEvent = Duration.zero
    private var eventBefore = Duration.zero
    /// Until when the lane is known to have had the broker, where it may have been away since: to be noted before anything
    /// more is taken from it.
    var awaySince: Duration?
    /// When the lane was seen to stand still last: the event before, and the first one after.
    private var stood: (from: Duration, to: Duration)?
    private var servedUntil: Duration?
    /// The partitions that an operator has paused: they are owned and not consumed.
    var paused: Set<Int> = []
    /// Why the lane serves nothing although it is connected.
    var misfit: String?

    private var connecting = Backoff(minimum: .milliseconds(200), maximum: .seconds(10))
    var lastConsumer = 0
    var random: SplitMix
    var actions: [Action] = []

    /// - Parameter seed: of the jitter of its delays.
    init(limits: LaneLimits, seed: UInt64) {
        self.limits = limits
        batchLimit = limits.batch
        random = SplitMix(seed: seed)
    }

    // MARK: Events

    /// Takes an event and says what to do about it.
    mutating func handle(_ event: Event, at now: Duration) -> [Action] {
        actions = []
        if now - lastEvent > limits.lookInterval * 4 { stood = (lastEvent, now) }
        eventBefore = lastEvent
        lastEvent = now
        switch event {
        case .connected(let rankKey): connected(rankKey, at: now)
        case .connectFailed(let reason): disconnect(reason, at: now)
        case .databaseLost(let reason):
            if phase == .serving { brokerLost(at: now) }
            lose(reason, at: now)
        case .closed: closed(at: now)
        case .publisherConnected: publisherConnected(at: now)
        case .publisherFailed(let reason): publisherFailed(reason, at: now)
        case .publisherLost(let reason): publisherLost(reason, at: now)
        case .blocked(let reason): noteBlocked(reason, at: now)
        case .consumerOpened(let consumer): consumerOpened(consumer, at: now)
        case .consumerEnded(let consumer, let reason, let connectionIsLost):
            consumerEnded(consumer, reason, connectionIsLost: connectionIsLost, at: now)
        case .arrived(let consumer, let items): arrived(items, from: consumer, at: now)
        case .published(let results, let failure): published(results, failure, at: now)
        case .stop: isStopping = true
        case .tick: break
        default: answered(event, at: now)
        }
        advance(at: now)
        for partition in partitions.keys where partitions[partition]?.hasChanged == true {
            partitions[partition]?.since = now
            partitions[partition]?.hasChanged = false
        }
        defer { actions = [] }
        return actions
    }

    /// When a ``LaneEvent/tick`` is wanted; nil while only other events can change anything. What was due already waits for
    /// something else.
    var deadline: Duration? {
        switch phase {
        case .disconnected(let until): return until
        case .connecting, .closing, .finished: return nil
        case .serving: break
        }
        var times: [Duration] = [nextLook, quarantine.nextCheck].compactMap { $0 }
        for partition in partitions.values {
            if partition.state == .waiting { times.append(partition.retryAt) }
            if let time = partition.gathering?.deadline { times.append(time) }
        }
        if let time = database.retryAt { times.append(time) }
        if let time = publisher.retryAt { times.append(time) }
        if let since = publishedSince { times.append(since + limits.clearingDelay) }
        if let time = parking.nextCheck { times.append(time) }
        return times.filter { $0 > lastEvent }.min()
    }

    // MARK: Connections

    private mutating func connected(_ rankKey: Int32, at now: Duration) {
        phase = .serving
        self.rankKey = rankKey
        publisher = PublishingTrouble()
        nextLook = now
        if let servedUntil { noteAway(since: servedUntil) }
    }

    /// A connection to the broker is lost: it may have been away since the last moment at which the lane was there for sure.
    mutating func brokerLost(at now: Duration) {
        let stoodFrom = stood.flatMap { now - $0.to < .seconds(5) ? $0.from : nil }
        noteAway(since: min(eventBefore, stoodFrom ?? eventBefore))
    }

    mutating func noteAway(since moment: Duration) { awaySince = min(awaySince ?? moment, moment) }

    private mutating func disconnect(_ reason: String, at now: Duration) {
        let delay = connecting.next(using: &random)
        lastLoss = reason
        phase = .disconnected(until: now + delay)
        if !isStopping { note(.lost(reason, retryIn: delay)) }
    }

    /// Gives everything back: what was not acknowledged is delivered again, what was committed and not published waits in
    /// the outbox.
    mutating func lose(_ reason: String, at now: Duration) {
        guard phase == .serving else { return }
        lastLoss = reason
        beginClosing(isFinal: false)
    }

    private mutating func beginClosing(isFinal: Bool) {
        servedUntil = awaySince ?? lastEvent
        awaySince = nil
        phase = .closing(isFinal: isFinal)
        partitions = [:]
        pending = []
        parking = Parking()
        inFlight = [:]
        bytesInHand = 0
        job = nil
        database = DatabaseTrouble()
        batchLimit = limits.batch
        publications = []
        publishing = nil
        publisher = PublishingTrouble()
        published = []
        publishedSince = nil
        quarantine = Quarantine()
        share = ([], [])
        actions.append(.close)
    }

    private mutating func closed(at now: Duration) {
        guard case .closing(let isFinal) = phase else { return }
        if isFinal || isStopping {
            phase = .finished
            actions.append(.finish)
        } else {
            disconnect(lastLoss ?? "the connections were closed", at: now)
        }
    }

    /// Something was acknowledged or published: what was lost before is over.
    mutating func noteProgress() {
        connecting.reset()
        lastLoss = nil
    }

    // MARK: What is next

    private mutating func advance(at now: Duration) {
        switch phase {
        case .disconnected(let until):
            if isStopping {
                phase = .finished
                actions.append(.finish)
            } else if now >= until {
                phase = .connecting
                actions.append(.connect)
            }
        case .connecting, .closing, .finished:
            break
        case .serving:
            if isStopping { share = ([], Array(partitions.keys)) }
            tendPartitions(at: now)
            publishNext(at: now)
            acknowledge()
            tendPartitions(at: now)
            useDatabase(at: now)
            askForMore()
            if isStopping, partitions.isEmpty, job == nil, publications.isEmpty, published.isEmpty {
                beginClosing(isFinal: true)
            }
        }
    }

    // MARK: The database session

    /// Chooses the next job of the session, which does one at a time.
    private mutating func useDatabase(at now: Duration) {
        guard job == nil else { return }
        if now >= nextLook, !isStopping || publisher.blockedReason != nil {
            nextLook = now + limits.lookInterval
            return begin(.looking, .look)
        }
        if let retryAt = database.retryAt {
            if now < retryAt { return }
            // Nothing is left that could be tried.
            if database.isOfBatches, pending.isEmpty { databaseAnswered(at: now) }
        }
        let closed = partitions.filter { $0.value.state == .closed && $0.value.inFlight == 0 }.keys.sorted()
        if !closed.isEmpty, quarantine.next == nil {
            // The next owner would publish again what still stands in the outbox.
            if published.isEmpty { begin(.releasing(closed), .release(closed)) } else { clear() }
        } else if !share.take.isEmpty, !isStopping {
            begin(.taking, .take(share.take))
        } else if let since = awaySince, !isStopping {
            awaySince = nil
            begin(.fencing(since: since), .fence(since: since))
        } else if let next = parking.nextCheck, now >= next, parking.inHand == 0, !isStopping {
            parking.nextCheck = nil
            begin(.readingParked, .readParked(partitions: partitions.keys.filter { !paused.contains($0) }.sorted()))
        } else if let next = quarantine.next {
            quarantine.begun()
            begin(.quarantining(next), .quarantine(next.messages, reason: next.reason))
        } else if let partition = leftoverToRead {
            if published.isEmpty {
                partitions[partition]?.state = .leftover(.reading)
                begin(.readingLeftover(partition), .readLeftover(partition: partition))
            } else {
                clear()
            }
        } else if mayApply, case let batch = nextBatch(at: now), !batch.isEmpty {
            let clearing = takePublished()
            for item in batch { enterFlight(item) }
            begin(.applying(batch, clearing: clearing), .apply(batch, clearing: clearing))
        } else if let since = publishedSince, isStopping || now >= since + limits.clearingDelay {
            clear()
        } else if let next = quarantine.nextCheck, now >= next, !isStopping, !isReleasing {
            quarantine.nextCheck = nil
            let done = quarantine.takePublished()
            begin(.checkingQuarantine, .checkQuarantine(partitions: partitions.keys.sorted(), published: done))
        }
    }

    private var leftoverToRead: Int? {
        guard publisher.isFine else { return nil }
        return partitions.filter { $0.value.state == .leftover(.toRead) && !$0.value.isHandedOver }.keys.min()
    }

    /// A new batch may begin while the one before is being published, but not while publishing is in trouble.
    private var mayApply: Bool { publications.count < 2 && publisher.isFine && !isStopping }

    private mutating func begin(_ job: LaneJob<Command, Message>, _ action: Action) {
        self.job = job
        actions.append(action)
    }

    private mutating func clear() {
        let positions = takePublished()
        begin(.clearing(positions), .clear(positions))
    }

    private mutating func takePublished() -> [OutboxPosition] {
        defer {
            published = []
            publishedSince = nil
        }
        return published
    }

    mutating func giveBackPublished(_ positions: [OutboxPosition], at now: Duration) {
        published = positions + published
        if !published.isEmpty { publishedSince = now }
    }

    private mutating func answered(_ event: Event, at now: Duration) {
        // An answer to a job of a session that is lost says nothing any more.
        guard let job, phase == .serving else { return }
        self.job = nil
        switch (event, job) {
        case (.looked(let view), .looking):
            looked(view, at: now)
        case (.took(let taken), .taking):
            share.take = []
            for partition in taken where partitions[partition] == nil {
                partitions[partition] = LanePartition(at: now)
                parking.nextCheck = now
                note(.partitionTaken(partition))
            }
        case (.released, .releasing(let released)):
            for partition in released {
                partitions[partition] = nil
                note(.partitionReleased(partition))
            }
            share.release.removeAll { released.contains($0) }
        case (.leftover(let messages, let quarantined), .readingLeftover(let partition)):
            leftover(messages, of: partition, quarantined, at: now)
        case (.applied(let outcomes, let messages), .applying(let batch, _)):
            applied(batch, outcomes, messages, at: now)
        case (.refused(let refusal, let reason, let deadLetter), .applying(let batch, let clearing)):
            giveBackPublished(clearing, at: now)
            refused(batch, refusal, reason, deadLetter, at: now)
        case (.cleared, .clearing), (.quarantined, .quarantining):
            break
        case (.releasedFromQuarantine(let messages, let quarantined), .checkingQuarantine):
            releasedFromQuarantine(messages, quarantined, at: now)
        case (.parked(let items, let customers, let barrier), .readingParked):
            readParked(items, customers: customers, barrier, at: now)
        case (.fenced, .fencing):
            parking.nextCheck = now
        case (.jobFailed(let reason), _):
            jobFailed(job, reason, at: now)
        default:
            // The shell answers each job in its own way; anything else would be its defect.
            lose("an answer that belongs to no job", at: now)
        }
        switch event {
        case .jobFailed, .refused: break
        case .applied: databaseAnswered(at: now)
        default: if !database.isOfBatches { databaseAnswered(at: now) }
        }
    }

    private mutating func looked(_ view: LaneView, at now: Duration) {
        let wanted = limits.partitions
        let before = misfit
        misfit =
            switch (view.partitions, wanted) {
            case (nil, _): "the topology was never applied to this database (order-worker topology apply)"
            case (let applied?, let wanted?) where applied != wanted:
                "the topology has \(applied) partitions and this worker is told \(wanted): correct the setting 'partitions'"
            default: nil
            }
        if let misfit {
            // Connected it would count as one of those who share the partitions.
            if misfit != before { note(.wrongPartitionCount(misfit)) }
            return lose(misfit, at: now)
        }
        guard let count = view.partitions else { return }
        paused = view.paused
        drain(view.undrained, of: count, at: now)
        let fair = FairShare(rankKey: rankKey, partitions: count, view: view.ownership)
        share = (fair.take.filter { partitions[$0] == nil }, fair.release)
    }

    mutating func note(_ note: LaneNote) { actions.append(.note(note)) }
}

/// The bounds of a lane.
struct LaneLimits: Sendable, Hashable {
    /// How many partitions the worker was told there are; nil: as many as the topology has.
    var partitions: Int?
    /// Commands of one transaction.
    var batch: Int
    /// Deliveries of one partition that may be unacknowledged: the same for all workers, see ``Gathering``.
    var prefetch = Gathering.prefetch
    /// What one transaction's commands may become, in lines and kibibytes.
    var weight = 2000
    /// Bytes of deliveries in hand beyond which no more are taken.
    var bytesInHand = 12 << 20
    var lookInterval = Duration.milliseconds(500)
    /// How long a published event may wait for a transaction that removes it from the outbox.
    var clearingDelay = Duration.milliseconds(50)
    /// How long parked commands wait before it is looked whether they may go on.
    var parkedInterval = Duration.milliseconds(100)
    /// After this a marker is sent again, should it have got lost.
    var markerInterval = Duration.seconds(2)
    var quarantineInterval = Duration.seconds(2)
    /// Messages that are sent to the broker before its confirms are waited for.
    var publishedAtOnce = 1000
    /// Bytes of them: each publication has a deadline of its own, within which the broker has to take it all.
    var publishedBytesAtOnce = 4 << 20
}

/// A small generator, so that one number repeats all of a lane's jitter.
struct SplitMix: RandomNumberGenerator, Sendable {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
