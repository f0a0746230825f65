// Messages that the worker passes on unchanged: to the dead letters, and to the retry queue and back.

internal import AMQP
internal import OrderContract
internal import Orders

/// How the worker passes a message on, and takes it back.
///
/// The broker lets nobody publish under another's `user_id`, so the verified user travels in a header. The header counts
/// only on a message that the worker's own account published: nobody else can forge it.
struct Relay: Sendable {
    static let attemptsHeader = "x-order-worker-attempts"

    /// The worker's own AMQP user name.
    let ownUser: String

    /// The message as its publisher sent it, and how often it was deferred.
    func received(_ message: Message) -> (message: Message, attempts: Int) {
        guard message.properties.userID == ownUser else { return (message, 0) }
        var original = message
        var attempts = 0
        if case .string(let user) = original.properties.headers.removeValue(forKey: DeadLetter.user) {
            original.properties.userID = user.isEmpty ? nil : user
        }
        if case .integer(let count) = original.properties.headers.removeValue(forKey: Self.attemptsHeader) {
            attempts = Int(clamping: count)
        }
        return (original, attempts)
    }

    /// Puts a message aside, to come back to the same partition after the retry delay.
    func deferred(_ delivery: Delivery, attempts: Int) -> OutgoingMessage {
        passedOn(delivery, to: Topology.retry, attempts: attempts)
    }

    /// Sends a message on unchanged, with its routing key, to where it should have come at once.
    ///
    /// Its headers must leave room for those of the relay: see ``DeadLetter/canPassOn(_:)``.
    func moved(_ delivery: Delivery, to exchange: String) -> OutgoingMessage {
        passedOn(delivery, to: exchange, attempts: received(delivery.message).attempts)
    }

    private func passedOn(_ delivery: Delivery, to exchange: String, attempts: Int) -> OutgoingMessage {
        var message = received(delivery.message).message
        message.properties.headers[DeadLetter.user] = .string(message.properties.userID ?? "")
        message.properties.headers[Self.attemptsHeader] = .integer(Int64(attempts))
        // By CC and BCC the broker would copy it to other queues once more. To x-death it adds when the delay is over,
        // and what a publisher put there need not have the form that it expects (RabbitMQ 3.10 stops dead-lettering).
        for name in ["CC", "BCC", "x-death"] { message.properties.headers[name] = nil }
        message.properties.userID = ownUser
        message.properties.deliveryMode = .persistent
        message.properties.expiration = nil
        return OutgoingMessage(
            exchange: exchange, routingKey: delivery.routingKey, isMandatory: true, message: message)
    }

    /// Sends a message to the dead letters, under the worker's own name: who replays it can tell by that whether its
    /// headers are the worker's or a publisher's invention.
    func deadLetter(_ delivery: Delivery, _ unreadable: UnreadableMessage) -> OutgoingMessage {
        let original = received(delivery.message).message
        var message = DeadLetter.make(original, unreadable, routingKey: delivery.routingKey)
        message.properties.headers[DeadLetter.user] = .string(original.properties.userID ?? "")
        message.properties.headers[DeadLetter.time] = .string("\(Timestamp.now)")
        message.properties.headers[Self.attemptsHeader] = nil
        message.properties.userID = ownUser
        return OutgoingMessage(exchange: "", routingKey: Topology.deadLetters, isMandatory: true, message: message)
    }
}
