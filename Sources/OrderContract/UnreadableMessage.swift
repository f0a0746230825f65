// Why a message is not a command, and what of it could be read.

public import Orders

/// Why a message can't be read as a command, and what of it could be read.
public struct UnreadableMessage: Error, Sendable, Hashable {
    public let code: RejectionCode
    /// A sentence for people.
    public let reason: String
    /// At least one, the first with ``code`` and ``reason``.
    public let violations: [Violation]
    /// nil where the id couldn't be read.
    public let key: CommandKey?
    /// The type as the message says it, known or not; nil where it couldn't be read.
    public let type: String?
    /// The customer that the data names.
    public let customerID: CustomerID?
    public let traceparent: String?
    public let tracestate: String?
    /// Where the refusal may be sent; nil where the message asks for none, or names a queue of the worker's own.
    public let replyTo: String?
    public let correlationID: String?

    public init(
        violation: Violation, others: [Violation] = [], key: CommandKey? = nil, type: String? = nil,
        customerID: CustomerID? = nil, traceparent: String? = nil, tracestate: String? = nil, replyTo: String? = nil,
        correlationID: String? = nil
    ) {
        self.code = violation.code
        self.reason = violation.message
        self.violations = [violation] + others
        self.key = key
        self.type = type
        self.customerID = customerID
        self.traceparent = traceparent
        self.tracestate = tracestate
        self.replyTo = replyTo
        self.correlationID = correlationID
    }
}
