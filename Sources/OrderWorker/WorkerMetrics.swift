// The one list of the worker's metrics: names by Prometheus' conventions, and what each means.

/// What a worker measures. Each metric's labels have few values: none is an id, or anything else that a message says.
public enum WorkerMetrics {
    /// A metric, in no exporter's own terms.
    public struct Metric: Sendable, Hashable {
        public enum Kind: String, Sendable, Hashable {
            case counter
            case gauge
            case histogram
        }

        public let name: String
        public let kind: Kind
        public let help: String
        /// The upper bounds of a histogram's buckets; nil for the exporter's.
        public let buckets: [Double]?

        fileprivate init(_ name: String, _ kind: Kind, _ help: String, buckets: [Double]? = nil) {
            self.name = "order_worker_" + name
            self.kind = kind
            self.help = help
            self.buckets = buckets
        }
    }

    public static let all: [Metric] = commandMetrics + laneMetrics + clockMetrics + sharedMetrics

    // MARK: Commands

    static let commands = Metric(
        "commands_total", .counter,
        "Commands that were decided, by type, outcome, and whether the outcome was repeated.")
    static let deadLetters = Metric("dead_letters_total", .counter, "Messages that went to orders.dead, by reason.")
    static let deferred = Metric(
        "deferred_total", .counter, "Commands that were put aside for a while, as their customer isn't known yet.")
    static let redeliveries = Metric(
        "redeliveries_total", .counter, "Deliveries that had been delivered before and came back.")
    static let commandAge = Metric(
        "command_age_seconds", .histogram,
        "How long ago a command was made, by its own time and the database's, when it was applied.",
        buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 21_600, 86_400])
    static let endToEnd = Metric(
        "end_to_end_seconds", .histogram, "Time from a delivery's arrival to its acknowledgement.")
    static let stage = Metric(
        "stage_duration_seconds", .histogram,
        "Time that a stage takes for what passes it together: read, load, decide, store, publish, acknowledge.")
    static let batchSize = Metric("batch_size", .histogram, "Commands in a database transaction.")
    static let batch = Metric("batch_seconds", .histogram, "Time from taking a batch to its commit.")
    static let published = Metric("published_total", .counter, "Messages that the broker confirmed.")
    static let databaseRefusals = Metric(
        "database_refusals_total", .counter,
        "What the database refused on a session that goes on, each of which is tried again, by class of SQLSTATE.")
    static let repliesDropped = Metric(
        "replies_dropped_total", .counter, "Replies that were not sent, by reason.")

    private static let commandMetrics = [
        commands, deadLetters, deferred, redeliveries, commandAge, endToEnd, stage, batchSize, batch, published,
        databaseRefusals, repliesDropped,
    ]

    /// The counters without labels.
    static let plainCounters = [deferred, redeliveries, published, customersHeld, quarantined]

    // MARK: Lanes

    static let partitionsOwned = Metric("partitions_owned", .gauge, "Partitions that a lane serves now.")
    static let partitionsWaiting = Metric(
        "partitions_waiting", .gauge, "Partitions that a lane owns and can't consume.")
    static let partitionOwned = Metric("partition_owned", .gauge, "1 while the lane owns the partition.")
    static let partitionState = Metric(
        "partition_state", .gauge,
        "1 for the state in which a partition is that the lane owns, 0 for the others.")
    static let partitionSince = Metric(
        "partition_since_timestamp_seconds", .gauge,
        "Since when the partition has been in its state in this lane, or without an owner here.")
    static let partitionFailures = Metric(
        "partition_failures_total", .counter, "How often a partition's queue couldn't be consumed, by partition.")
    static let lanePaused = Metric(
        "lane_paused", .gauge, "1 while a lane takes nothing: the database refuses, or nothing can be published.")
    static let laneRestarts = Metric("lane_restarts_total", .counter, "How often a lane had to begin anew.")
    static let inHand = Metric("in_hand", .gauge, "Deliveries that a lane has in hand.")
    static let heldCustomers = Metric(
        "held_customers", .gauge, "Customers whose commands wait until all that came before them is through.")
    static let customersHeld = Metric(
        "customers_held_total", .counter,
        "How often a customer's commands came by another partition than before.")
    static let quarantinedCustomers = Metric(
        "quarantined_customers", .gauge, "Customers some of whose events the broker doesn't take.")
    static let quarantined = Metric(
        "quarantined_total", .counter, "Events that the broker didn't take for what they are.")
    static let publishingPaused = Metric(
        "publishing_paused_total", .counter, "How often the broker took no messages of a lane.")
    static let brokerBlocked = Metric(
        "broker_blocked", .gauge, "1 while the broker takes no messages from a lane, for want of memory or disk.")
    static let reconnects = Metric(
        "reconnects_total", .counter,
        "Connections that were lost or not made, each of which is made anew, by server and reason.")
    static let catalogVersion = Metric(
        "catalog_version", .gauge, "The version of the catalog by which this worker decides.")

    private static let laneMetrics = [
        partitionsOwned, partitionsWaiting, partitionOwned, partitionState, partitionSince, partitionFailures,
        lanePaused, laneRestarts, inHand, heldCustomers, customersHeld, quarantinedCustomers, quarantined,
        publishingPaused, brokerBlocked, reconnects, catalogVersion,
    ]

    // MARK: The clock

    static let clockSkew = Metric(
        "clock_skew_seconds", .gauge, "How far this machine's clock is ahead of the database's.")
    static let clockLeader = Metric("clock_leader", .gauge, "1 while this worker's clock is the elected one.")
    static let clockTick = Metric(
        "clock_last_tick_timestamp_seconds", .gauge,
        "When this worker's clock, while it was the elected one, last went through all that was due.")
    static let inboxAhead = Metric(
        "inbox_ahead_seconds", .gauge, "For how long from now the inbox has its monthly tables.")

    private static let clockMetrics = [clockSkew, clockLeader, clockTick, inboxAhead]

    // MARK: What all workers share, as this one saw it last

    static let gathered = Metric(
        "shared_last_read_timestamp_seconds", .gauge,
        "When this worker last read the figures of the server that all workers share, by server.")
    static let clockLag = Metric("clock_lag_seconds", .gauge, "For how long the first of what is due has been due.")
    static let clockDue = Metric(
        "clock_due_customers", .gauge, "Customers with something due now; 1000 stands for as many or more.")
    static let partitions = Metric("partitions", .gauge, "Partitions that the topology has.")
    static let partitionHasOwner = Metric(
        "partition_has_owner", .gauge, "1 while some worker owns the partition.")
    static let partitionPaused = Metric(
        "partition_paused", .gauge, "1 while an operator has paused the partition.")
    static let outboxEvents = Metric(
        "outbox_events", .gauge,
        "Events that are committed and not known to be published, by partition; 10001 stands for more than 10000.")
    static let outboxAge = Metric(
        "outbox_oldest_age_seconds", .gauge, "Age of the oldest event in the outbox, by partition; 0 without one.")
    static let quarantinedEvents = Metric(
        "quarantined_events", .gauge, "Events in quarantine; 10001 stands for more than 10000.")
    static let parkedCommands = Metric(
        "parked_commands", .gauge,
        "Commands that wait in the database for their customer's former partition; 10001 stands for more than 10000.")
    static let queueMessages = Metric(
        "queue_messages", .gauge,
        "Messages that wait in a queue of the worker's own, by queue; NaN where it is missing.")
    static let queueConsumers = Metric(
        "queue_consumers", .gauge, "Consumers of a queue of the worker's own, by queue; NaN where it is missing.")
    static let auditTime = Metric(
        "audit_last_timestamp_seconds", .gauge, "When the last audit of the books ended; 0 before the first.")
    static let auditViolations = Metric(
        "audit_violations", .gauge, "How many rows the last audit of the books found that break an invariant.")

    private static let sharedMetrics = [
        gathered, clockLag, clockDue, partitions, partitionHasOwner, partitionPaused, outboxEvents, outboxAge,
        quarantinedEvents,
        parkedCommands, queueMessages, queueConsumers, auditTime, auditViolations,
    ]
}
