// A fuzzer's bytes as the body of a message.

import AMQP
import Orders

extension DecoderPromises {
    /// The promise that the decoder breaks for a body, if there is one.
    ///
    /// - Parameter input: the first byte chooses what the message says of its body (`0`…`9`: plain AMQP properties with
    ///   one of the types of command, in their order; anything else: a structured event); the body follows.
    public static func broken(byBody input: UnsafeRawBufferPointer) -> String? {
        guard let choice = input.first else { return nil }
        let body = Array(input.dropFirst())
        let types = CommandType.allCases
        let number = Int(choice) - 0x30
        if types.indices.contains(number) {
            let properties = MessageProperties(
                contentType: "application/json", messageID: "1", type: types[number].rawValue, appID: "fuzzer")
            return broken(by: Message(properties: properties, body: body))
        }
        let properties = MessageProperties(contentType: "application/cloudevents+json")
        return broken(by: Message(properties: properties, body: body))
    }
}
