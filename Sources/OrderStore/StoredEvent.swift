// An event in the form in which it is kept and published.

public import Orders

/// An event with its data encoded once: the inbox and the outbox keep the same bytes that are published.
public struct StoredEvent: Sendable, Hashable {
    public let id: EventID
    public let type: EventType
    public let time: Timestamp
    public let customerID: CustomerID
    /// The event's data as JSON.
    public let data: [UInt8]

    public init(id: EventID, type: EventType, time: Timestamp, customerID: CustomerID, data: [UInt8]) {
        self.id = id
        self.type = type
        self.time = time
        self.customerID = customerID
        self.data = data
    }
}

/// W3C trace context, carried from a command to its events.
public struct TraceContext: Sendable, Hashable {
    public let traceparent: String?
    public let tracestate: String?

    public init(traceparent: String?, tracestate: String?) {
        self.traceparent = traceparent
        self.tracestate = tracestate
    }
}
