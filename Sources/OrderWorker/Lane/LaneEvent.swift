// What a lane's state machine is told.

internal import OrderStore
internal import Orders

/// Something that happened to a lane.
enum LaneEvent<Command: Sendable, Message: Sendable>: Sendable {
    // The lane's connections.

    /// The database session and the publishing connection are there.
    case connected(rankKey: Int32)
    case connectFailed(String)
    /// The database session has ended: its locks are gone.
    case databaseLost(String)
    case publisherConnected
    case publisherFailed(String)
    /// The publishing connection is lost, while nothing of a batch was on its way.
    case publisherLost(String)
    /// All connections are closed.
    case closed

    // Answers of the database. Each belongs to the job under way.

    case looked(LaneView)
    case took([Int])
    case released
    /// What a partition's owner before left in the outbox, the oldest first, and whose events are in quarantine.
    case leftover([Outgoing<Message>], quarantined: Set<CustomerID>)
    /// A batch is committed.
    case applied([BatchOutcome], [Outgoing<Message>])
    /// A batch isn't committed. `deadLetter`: what puts its only command aside.
    case refused(BatchRefusal, reason: String, deadLetter: [Outgoing<Message>])
    case cleared
    case quarantined
    /// What was released from quarantine, and whose events still are there.
    case releasedFromQuarantine([Outgoing<Message>], quarantined: Set<CustomerID>)
    /// It is noted in the database that the broker was away.
    case fenced
    /// Parked commands that may be applied, of how many customers there are any, and what the others wait for.
    case parked([InHand<Command>], customers: Int, BarrierProgress)
    /// A job other than a batch failed on a session that can still be used.
    case jobFailed(String)

    // Consumers, each by its number.

    case consumerOpened(Int)
    case arrived(consumer: Int, [InHand<Command>])
    /// `connectionIsLost`: whether the broker or the network ended it, and not what is the matter with its queue.
    case consumerEnded(Int, reason: String, connectionIsLost: Bool = false)

    // Publishing.

    /// What became of the first messages, and why not of the others.
    case published([PublishResult], PublishFailure?)
    /// The broker takes no messages for now, with its reason; nil: it does again.
    case blocked(String?)

    // The outside.

    case stop
    /// Time has passed.
    case tick
}

/// What a lane sees of the others, and of the topology.
struct LaneView: Sendable, Hashable {
    let ownership: OwnershipView
    /// How many partitions there are, as the topology was applied; nil where it never was.
    let partitions: Int?
    /// The partitions that may hold commands from before partitions were added.
    var undrained: Set<Int> = []
    /// The partitions that an operator has paused.
    var paused: Set<Int> = []
}

/// What a lane's state machine wants done. An answer comes as a ``LaneEvent``.
enum LaneAction<Command: Sendable, Message: Sendable>: Sendable {
    case connect
    case connectPublisher
    /// Closes everything at once; `.closed` follows.
    case close

    // One at a time on the lane's database session.

    case look
    case take([Int])
    case release([Int])
    case readLeftover(partition: Int)
    /// Applies a batch in one transaction, which also clears away what was published.
    case apply([InHand<Command>], clearing: [OutboxPosition])
    case clear([OutboxPosition])
    /// Moves events to quarantine, with the reason.
    case quarantine([Outgoing<Message>], reason: String)
    /// Forgets what was published from quarantine, then reads what has been released.
    case checkQuarantine(partitions: [Int], published: [QuarantinePosition])

    /// Reads the parked commands of the partitions that may be applied.
    case readParked(partitions: [Int])
    /// Notes that the broker was away, since then at the latest.
    case fence(since: Duration)

    // Consumers.

    case consume(partition: Int, consumer: Int, prefetch: Int)
    /// Waits for the consumer's next deliveries. Without it none are handed over.
    case receive(consumer: Int)
    case acknowledge(consumer: Int, [Acknowledgement])
    /// Has the broker put a delivery aside.
    case reject(Place)
    case endConsumer(Int)
    /// Sends markers, each through its partition's queue.
    case send([PartitionMarker])

    case publish([Outgoing<Message>])

    /// A line for the operator.
    case note(LaneNote)
    /// The lane is done.
    case finish
}

/// What the operator is told by the log.
enum LaneNote: Sendable, Hashable {
    case lost(String, retryIn: Duration)
    case partitionTaken(Int)
    case partitionReleased(Int)
    case partitionWaits(Int, reason: String, retryIn: Duration)
    case publishingPaused(String, retryIn: Duration)
    case publishingResumed
    case databaseRefuses(String, retryIn: Duration)
    case databaseTakesAgain
    case batchRefused(String, commands: Int)
    case batchTooSlow(commands: Int)
    case deadLettered(Place, reason: String)
    case quarantined(CustomerID, reason: String)
    case dropped(String)
    case held(CustomerID, by: Int)
    case leftover(partition: Int, events: Int)
    case wrongPartitionCount(String)
}
