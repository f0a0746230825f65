// The worker's own command: settle what has fallen due for a customer.

internal import AMQP
internal import OrderContract
internal import OrderStore
internal import Orders

/// Makes `customer.settle` messages. The id is derived from what is due and until when it is settled, so that the same
/// settlement asked for twice, by whichever clock, is one command, and one that goes further is another.
enum SettleCommand {
    /// The header by which `order-worker clock run` marks a settlement that may lie ahead of the time that it is. It counts
    /// only on a message of the worker's own account.
    static let aheadHeader = "x-order-worker-ahead"

    /// - Parameters:
    ///   - time: until when to settle.
    ///   - isAhead: whether that counts even where it lies ahead of the time that it is.
    ///   - dayIsOver: whether the invoice whose month ends with the day of `time` is closed too.
    static func message(
        _ due: DueCustomer, through time: Timestamp, isAhead: Bool, dayIsOver: Bool = false, user: String
    ) -> OutgoingMessage {
        let id = "settle \(due.id) \(due.since) \(time)\(dayIsOver ? " over" : "")"
        var headers: [String: FieldValue] = [
            "cloudEvents:specversion": "1.0", "cloudEvents:id": .string(id),
            "cloudEvents:source": .string(EventMessage.source),
            "cloudEvents:type": .string(CommandType.customerSettle.rawValue),
            "cloudEvents:time": .string(time.description),
        ]
        if isAhead { headers[aheadHeader] = true }
        let properties = MessageProperties(
            contentType: "application/json", messageID: id, type: CommandType.customerSettle.rawValue, userID: user,
            appID: EventMessage.source, headers: headers, deliveryMode: .persistent)
        return OutgoingMessage(
            exchange: Topology.commands, routingKey: due.id.description, isMandatory: true,
            message: Message(properties: properties, body: data(of: due.id, dayIsOver: dayIsOver)))
    }

    static func data(of customer: CustomerID, dayIsOver: Bool = false) -> [UInt8] {
        Array("{\"customerId\":\"\(customer)\"\(dayIsOver ? ",\"dayIsOver\":true" : "")}".utf8)
    }

    /// The time as of which a settlement of the worker's own account counts: its own, but no time that is still to come,
    /// unless an operator let time run ahead. A machine whose clock is wrong settles nothing early by it.
    ///
    /// - Parameters:
    ///   - message: the message as the worker's account published it.
    ///   - time: the command's own time.
    ///   - now: the database's time.
    static func effectiveTime(of message: Message, time: Timestamp, now: Timestamp) -> Timestamp {
        message.properties.headers[aheadHeader] == true ? time : min(time, now)
    }
}
