// The event that refuses a message which could not be read.

public import AMQP
public import Orders

extension UnreadableMessage {
    /// The `command.rejected` for the message. It belongs to no customer's sequence: its sequence number is 0.
    ///
    /// The event's id depends on the message and its routing key alone, so that a message that is delivered again is
    /// refused again under the same id.
    ///
    /// - Parameters:
    ///   - routingKey: names the customer where it is a UUID; otherwise the event carries the nil UUID.
    ///   - time: when it was refused.
    public func rejection(of message: Message, routingKey: String, at time: Timestamp) -> Event {
        let key = key ?? CommandKey(source: "", id: "")
        return Event(
            id: MessageFingerprint.eventID(of: message, routingKey: routingKey), type: .commandRejected,
            customerID: CustomerID(routingKey) ?? CustomerID(high: 0, low: 0), sequence: 0, time: time,
            data: .rejected(rejection, key, type: type ?? ""), cause: key)
    }

    private var rejection: Rejection {
        Rejection(violations) ?? Rejection(Violation(code, at: "", reason))
    }
}
