// What the decoder promises for every message: a fuzzer looks for one that breaks it.

import Orders

@testable import AMQP
@testable import OrderContract

/// What must hold whatever a message holds.
public enum DecoderPromises {
    /// The promise that the decoder breaks for this message, if there is one.
    static func broken(by message: Message) -> String? {
        switch CommandDecoder().decode(message, routingKey: ExampleID.customer) {
        case .success(let command):
            return broken(by: command)
        case .failure(let unreadable):
            return broken(by: unreadable, of: message)
        }
    }

    /// What was accepted can be stored and read again.
    private static func broken(by command: DecodedCommand) -> String? {
        if CommandDecoder().decodeStored(type: command.type, data: command.data) != command.command {
            return "The data that was accepted isn't the same command when it is read again."
        }
        for text in [command.replyTo, command.correlationID] {
            if let text, text.utf8.count > 255 { return "A property that is to be sent back is too long: \(text)" }
        }
        return nil
    }

    /// What was refused can be told to its publisher and put aside.
    private static func broken(by unreadable: UnreadableMessage, of message: Message) -> String? {
        let event = unreadable.rejection(
            of: message, routingKey: ExampleID.customer, at: Timestamp(microseconds: 1_770_000_000_000_000))
        let violations = Contract.check(type: "command.rejected", data: EventEncoder.data(of: event))
        if let first = violations.first { return "The rejection breaks its own schema: \(first)" }

        let letter = DeadLetter.make(message, unreadable, routingKey: ExampleID.customer)
        if letter.body != message.body { return "The dead letter has another body." }
        let outgoing = OutgoingMessage(exchange: "", routingKey: "orders.dead", message: letter)
        if let reason = outgoing.reasonNotToSend(frameMaximum: 32_768) {
            return "The dead letter can't be sent: \(reason)"
        }
        return nil
    }
}
