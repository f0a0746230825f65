// A command as the decoder read it.

public import Orders

/// A command and what its message says about it.
public struct DecodedCommand: Sendable, Hashable {
    public let key: CommandKey
    public let type: CommandType
    /// When the sender says that it was given; nil where the message doesn't say.
    public let time: Timestamp?
    public let command: Command
    /// The partner that the command names.
    public let partnerID: String?
    /// W3C trace context; nil where absent or malformed.
    public let traceparent: String?
    /// nil where there is no `traceparent`.
    public let tracestate: String?
    /// The JSON text of the command's data, as received.
    public let data: [UInt8]
    /// The queue that the outcome goes to as well.
    public let replyTo: String?
    /// What the outcome carries as its correlation id.
    public let correlationID: String?

    public init(
        key: CommandKey, type: CommandType, time: Timestamp?, command: Command, partnerID: String?,
        traceparent: String?, tracestate: String?, data: [UInt8], replyTo: String?, correlationID: String?
    ) {
        self.key = key
        self.type = type
        self.time = time
        self.command = command
        self.partnerID = partnerID
        self.traceparent = traceparent
        self.tracestate = tracestate
        self.data = data
        self.replyTo = replyTo
        self.correlationID = correlationID
    }
}
