// The message that carries an event: CloudEvents in binary mode, with the matching AMQP properties.

public import AMQP
public import Orders

/// Makes the messages that carry events.
public enum EventMessage {
    /// The `source` of all events, and their `app_id`.
    public static let source = "order-worker"

    /// Makes a message of an event's parts, as the outbox keeps them. The same parts give the same message.
    ///
    /// - Parameters:
    ///   - data: from ``EventEncoder/data(of:)``.
    ///   - traceparent: W3C trace context of the command that caused the event; `tracestate` goes with it.
    ///   - correlationID: the command's, on the copy of its outcome that goes to its `reply_to`.
    public static func make(
        id: EventID, type: EventType, time: Timestamp, customerID: CustomerID, data: [UInt8],
        traceparent: String? = nil, tracestate: String? = nil, correlationID: String? = nil
    ) -> Message {
        let id = id.description
        var headers: [String: FieldValue] = [
            "cloudEvents:specversion": "1.0",
            "cloudEvents:id": .string(id),
            "cloudEvents:source": .string(source),
            "cloudEvents:type": .string(type.rawValue),
            "cloudEvents:time": .string(time.description),
            "cloudEvents:subject": .string(customerID.description),
        ]
        if let traceparent {
            headers["traceparent"] = .string(traceparent)
            headers["cloudEvents:traceparent"] = .string(traceparent)
            if let tracestate {
                headers["tracestate"] = .string(tracestate)
                headers["cloudEvents:tracestate"] = .string(tracestate)
            }
        }
        // The data's content type is the property (CloudEvents, AMQP binding 3.1.1), so there is no such header.
        return Message(
            properties: MessageProperties(
                contentType: "application/json", correlationID: correlationID, messageID: id, type: type.rawValue,
                appID: source, headers: headers, deliveryMode: .persistent,
                timestamp: UInt64(max(0, time.microseconds / 1_000_000))),
            body: data)
    }
}
