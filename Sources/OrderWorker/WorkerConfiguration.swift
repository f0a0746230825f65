// What a worker needs to know.

public import AMQP
public import PostgreSQL

/// Who may give commands for which partner.
public enum Authorization: String, Sendable, CaseIterable {
    /// The user name that the broker verified (`user_id`) decides.
    case userID = "user-id"
    /// Every publisher is trusted, for set-ups with a single tenant; a command may name its partner.
    case trusted
}

/// What a worker needs to know.
public struct WorkerConfiguration: Sendable {
    public var amqp: AMQP.ConnectionConfiguration
    public var database: PostgreSQL.ConnectionConfiguration
    /// Number of partition queues that the worker expects; nil: as many as the topology has.
    public var partitions: Int?
    /// Lanes of this worker. Each has a database session and serves its share of the partitions.
    public var lanes: Int
    /// How many commands one database transaction may take.
    public var batchLimit: Int
    /// Bytes; a larger message is dead-lettered.
    public var maximumMessageSize: Int
    /// How far back a command's own time may reach. More counts as this much.
    public var commandAge: Duration
    public var authorization: Authorization
    /// How often a command for an unknown customer is tried again before it is rejected.
    public var deferrals = 2
    /// What the names of queues begin with that outcomes may be sent to; the publisher's user name and a dot follow.
    public var replyPrefix = "replies."
    /// How long a lane may take to finish what it has when the worker is stopped.
    public var drainTimeout: Duration

    public init(
        amqp: AMQP.ConnectionConfiguration, database: PostgreSQL.ConnectionConfiguration, partitions: Int?, lanes: Int,
        batchLimit: Int, maximumMessageSize: Int, commandAge: Duration, authorization: Authorization,
        drainTimeout: Duration
    ) {
        self.amqp = amqp
        self.database = database
        self.partitions = partitions
        self.lanes = lanes
        self.batchLimit = batchLimit
        self.maximumMessageSize = maximumMessageSize
        self.commandAge = commandAge
        self.authorization = authorization
        self.drainTimeout = drainTimeout
    }
}
