// A stored outcome, as the message that announces it once more.

public import AMQP
public import OrderStore

extension StoredOutcome {
    /// The message that announced it to all, with the same event id. The command's correlation id isn't kept, and so not
    /// in it.
    public var announcement: OutgoingMessage { event.announcement(correlationID: nil, trace: trace) }
}
