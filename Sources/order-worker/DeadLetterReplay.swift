// A dead letter as the command that it was, to be published again.

internal import AMQP
internal import OrderContract
internal import OrderWorker

/// Makes the message that sends a dead letter's command through the workers again.
enum DeadLetterReplay {
    /// Why a dead letter can't be published again.
    struct Obstacle: Error, Equatable {
        let text: String
    }

    /// The message as its publisher sent it, to the exchange `orders` with its own routing key. The verified publisher
    /// travels in a header, which workers believe in what their own account published.
    ///
    /// It doesn't expire any more: an operator has asked for it.
    ///
    /// - Parameters:
    ///   - record: read from the same message.
    ///   - ownUser: the name under which this program logs in, which has to be the workers'.
    static func make(
        _ message: Message, _ record: DeadLetterRecord, ownUser: String
    ) -> Result<OutgoingMessage, Obstacle> {
        if record.isUnreadable {
            return .failure(Obstacle(text: "its headers can't be read; its publisher has to send it again"))
        }
        guard record.origin != .other, let routingKey = record.routingKey else {
            let publisher = message.properties.userID.map { " by \($0.visible)" } ?? ""
            return .failure(
                Obstacle(
                    text: "neither the broker nor a worker that logs in as \(ownUser) put it aside; it was published"
                        + publisher))
        }
        if record.origin == .worker, message.properties.headers[DeadLetter.headersLeftOut] != nil {
            return .failure(
                Obstacle(text: "its own headers were too large to keep; its publisher has to send it again"))
        }
        var command = message
        command.properties.headers = message.properties.headers.filter { !isNote($0.key) }
        guard DeadLetter.canPassOn(command) else {
            return .failure(
                Obstacle(text: "its own headers are too large to pass on; its publisher has to send it again"))
        }
        command.properties.headers[DeadLetter.user] = .string(record.user ?? "")
        command.properties.userID = ownUser
        command.properties.expiration = nil
        command.properties.deliveryMode = .persistent
        return .success(
            OutgoingMessage(exchange: Topology.commands, routingKey: routingKey, isMandatory: true, message: command))
    }

    /// Whether a header was written on the way and isn't the publisher's, or would have the broker copy the message.
    private static func isNote(_ name: String) -> Bool {
        let names: Set<String> = ["x-death", "x-delivery-count", "x-acquired-count", "CC", "BCC"]
        let prefixes = ["x-order-worker-", "x-first-death-", "x-last-death-"]
        return names.contains(name) || prefixes.contains(where: name.hasPrefix)
    }
}
