// Why the exchanges and queues can't be what they should be.

internal import AMQP

/// Why the topology can't be what it should be.
public struct TopologyError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of failure. More kinds may be added.
    public struct Code: RawRepresentable, Sendable, Hashable {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }

        /// The broker lacks the plugin of an exchange type.
        public static let pluginMissing = Code(rawValue: "plugin_missing")
        /// An exchange or a queue exists with other properties.
        public static let exists = Code(rawValue: "exists")
        /// Partitions can't be taken away while there is something in them.
        public static let partitionsDiffer = Code(rawValue: "partitions_differ")
        /// Somebody works on queues that have to be left alone for a moment.
        public static let inUse = Code(rawValue: "in_use")
        /// Commands couldn't be moved from one queue to another.
        public static let notMoved = Code(rawValue: "not_moved")
    }

    public let code: Code
    /// What was being done.
    public let during: String
    /// What is wrong.
    public let cause: String
    /// What to do about it.
    public let advice: String

    /// Trying again without a change doesn't help.
    public var isRetriable: Bool { false }

    public var description: String { "\(during): \(cause) \(advice)" }

    init(_ code: Code, during: String, cause: String, advice: String) {
        self.code = code
        self.during = during
        self.cause = cause
        self.advice = advice
    }

    /// nil for any other error than that something exists with other properties.
    init?(existing error: AMQPError) {
        guard error.code == .preconditionFailed else { return nil }
        self.init(
            .exists, during: error.during, cause: error.cause,
            advice: "Delete what has other properties once it is empty, then apply the topology again.")
    }
}
