// Messages for the tests of the decoder: each carries a valid command until a test changes it.

import AMQP
import OrderContract
import Orders

enum Sample {
    static let customer = "018f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b10"
    static let customerID = CustomerID(high: 0x018F_4C2E_6A1C_7C3E, low: 0x9D55_0A4F_7F2F_9B10)
    static let settle = #"{ "customerId": "\#(customer)" }"#

    static var plain: Message {
        Message(
            properties: MessageProperties(
                contentType: "application/json", messageID: "id-1", type: "customer.settle", appID: "shop"),
            body: Array(settle.utf8))
    }

    static func binary(_ prefix: String) -> Message {
        Message(
            properties: MessageProperties(
                contentType: "application/json",
                headers: [
                    prefix + "specversion": "1.0", prefix + "id": "id-2", prefix + "source": "/shop/eu",
                    prefix + "type": "customer.settle", prefix + "time": "2026-11-22T21:35:06.5Z",
                ]), body: Array(settle.utf8))
    }

    static let attributes =
        #""specversion":"1.0","id":"id-3","source":"/shop/eu","type":"customer.settle","time":"2026-11-22T21:35:06Z""#

    /// A structured event of members in JSON.
    static func structured(
        attributes: String = attributes, more: String? = nil, data: String = #""data":\#(settle)"#
    ) -> Message {
        Message(
            properties: MessageProperties(contentType: "application/cloudevents+json; charset=utf-8"),
            body: Array(("{" + [attributes, more, data].compactMap { $0 }.joined(separator: ",") + "}").utf8))
    }

    static func decode(
        _ message: Message, routingKey: String = customer, limit: Int = 4096
    ) -> Result<DecodedCommand, UnreadableMessage> {
        CommandDecoder(maximumBodySize: limit).decode(message, routingKey: routingKey)
    }

    static func failure(_ message: Message, routingKey: String = customer) -> UnreadableMessage? {
        switch decode(message, routingKey: routingKey) {
        case .success: nil
        case .failure(let failure): failure
        }
    }
}
