// The worker's own command: settle what has fallen due for a customer.

internal import AMQP
internal import OrderContract
internal import OrderStore
internal import Orders

/// Makes `customer.settle` messages. The id is derived from what is due, so that the same settlement asked for twice, by
/// whichever clock, is one command.
enum SettleCommand {
    static func message(_ due: DueCustomer, as of: Timestamp, user: String) -> OutgoingMessage {
        let properties = MessageProperties(
            contentType: "application/json", messageID: "settle \(due.id) \(due.since)",
            type: CommandType.customerSettle.rawValue, userID: user, appID: EventMessage.source,
            headers: [
                "cloudEvents:specversion": "1.0", "cloudEvents:id": .string("settle \(due.id) \(due.since)"),
                "cloudEvents:source": .string(EventMessage.source),
                "cloudEvents:type": .string(CommandType.customerSettle.rawValue),
                "cloudEvents:time": .string(of.description),
            ], deliveryMode: .persistent)
        return OutgoingMessage(
            exchange: Topology.commands, routingKey: due.id.description, isMandatory: true,
            message: Message(properties: properties, body: Array("{\"customerId\":\"\(due.id)\"}".utf8)))
    }
}
