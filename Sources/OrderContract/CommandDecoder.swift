// Reads messages as commands: whatever the bytes are, the answer is a command or the reasons why it is none.

public import AMQP
public import Orders

/// Reads commands from messages in any form that the contract allows: a structured CloudEvent, a binary one, or plain
/// AMQP properties with a JSON body.
///
/// Never traps and takes time in proportion to the message, whatever it holds.
public struct CommandDecoder: Sendable {
    /// The largest body that is read, in bytes.
    public let maximumBodySize: Int
    /// The queue `orders` and all whose names begin with `orders.` are the worker's own: outcomes sent there would come
    /// back as commands.
    public let ownQueues: String

    /// - Parameters:
    ///   - maximumBodySize: in bytes, 256 KiB by default.
    ///   - ownQueues: the name that the worker's own queues have or begin with, before a dot.
    public init(maximumBodySize: Int = 256 * 1024, ownQueues: String = "orders") {
        self.maximumBodySize = maximumBodySize
        self.ownQueues = ownQueues
    }

    /// Reads a message.
    ///
    /// - Parameter routingKey: the one that the message was published with; it has to be the customer's id.
    public func decode(_ message: Message, routingKey: String) -> Result<DecodedCommand, UnreadableMessage> {
        var reading = Reading(message)
        return reading.command(self, routingKey)
    }

    /// Reads a command's data that was stored after ``decode(_:routingKey:)`` had accepted it.
    ///
    /// - Returns: nil if the data doesn't pass the command's schema.
    public func decodeStored(type: CommandType, data: [UInt8]) -> Command? {
        do throws(JSONError) {
            let root = try JSONDocument(data, maximumSize: .max).root
            guard SchemaValidator.violations(of: type.schema, in: root).isEmpty else { return nil }
            return CommandReader.command(type, root)
        } catch {
            return nil
        }
    }

    /// Whether outcomes may be sent to this queue.
    fileprivate func mayReply(to queue: String) -> Bool {
        queue != ownQueues && !queue.utf8.starts(with: (ownQueues + ".").utf8)
    }
}

/// A message being read, with all that is wrong with it so far.
private struct Reading {
    private let message: Message
    private var attributes = EventAttributes()
    private var problems: [Violation] = []
    private var data: JSONValue?
    private var dataBytes: [UInt8] = []
    private var command: Command?
    private var replyTo: String?

    init(_ message: Message) {
        self.message = message
    }

    mutating func command(
        _ decoder: CommandDecoder, _ routingKey: String
    ) -> Result<DecodedCommand, UnreadableMessage> {
        readReplyTo(decoder)
        readBody(decoder)
        readData()
        if problems.isEmpty, let id = attributes.id.value, let source = attributes.source.value, let command {
            if routingKey == command.customerID.description || routingKey == data?["customerId"]?.string {
                return .success(
                    DecodedCommand(
                        key: CommandKey(source: source, id: id), type: command.type, time: attributes.time,
                        command: command, partnerID: data?["partnerId"]?.string, traceparent: attributes.traceparent,
                        tracestate: attributes.tracestate, data: dataBytes, replyTo: replyTo,
                        correlationID: returnable(message.properties.correlationID)))
            }
            report(.routingKeyMismatch, "The routing key must be the customer's id.", at: "/customerId")
        }
        return .failure(unreadable)
    }

    private mutating func readReplyTo(_ decoder: CommandDecoder) {
        guard let queue = returnable(message.properties.replyTo), !queue.isEmpty else { return }
        if decoder.mayReply(to: queue) {
            replyTo = queue
        } else {
            report(.replyToNotAllowed, "The reply_to must not name a queue of the worker's own.")
        }
    }

    /// A property that is to be stored and sent back; nil where that can't be. One that wasn't UTF-8 can have become
    /// longer, by its repair, than a property may be, and PostgreSQL keeps no U+0000.
    private func returnable(_ text: String?) -> String? {
        text.flatMap { $0.utf8.count <= 255 && !$0.utf8.contains(0) ? $0 : nil }
    }

    // MARK: The envelope

    /// Reads the attributes, from the body too if the event is structured, and finds the data.
    private mutating func readBody(_ decoder: CommandDecoder) {
        let properties = message.properties
        let contentType = properties.contentType.map { MediaType($0) }
        let isStructured = contentType?.isStructuredEvent ?? false
        if message.body.count > decoder.maximumBodySize {
            report(.messageTooLarge, "The body has more than \(decoder.maximumBodySize) bytes.")
        } else if let encoding = properties.contentEncoding, !["", "utf-8", "identity"].contains(encoding.lowercased())
        {
            report(.malformedMessage, "The content encoding must be utf-8 or none: compressed bodies aren't read.")
        } else if isStructured {
            if let event = parse(message.body) {
                attributes.read(event)
                if event.isObject { readData(of: event) }
            }
        } else if let contentType, contentType.isAnyEventFormat {
            report(.malformedMessage, "Of the CloudEvents formats only application/cloudevents+json in UTF-8 is read.")
        } else if contentType.map({ $0.isJSON || $0.isUnspecific }) ?? true {
            data = parse(message.body)
            dataBytes = message.body
        }
        attributes.read(headers: properties.headers)
        attributes.read(properties, isStructured: isStructured || (contentType?.isAnyEventFormat ?? false))
        attributes.finish()
        problems += attributes.problems
    }

    private mutating func readData(of event: JSONValue) {
        switch (event["data"], event["data_base64"]) {
        case (let value?, nil):
            data = value
            dataBytes = Array(value.source)
        case (nil, let encoded?):
            guard let bytes = encoded.utf8.flatMap({ Base64.decoded($0) }) else {
                return report(.malformedMessage, "The event's data_base64 is not Base64.")
            }
            data = parse(bytes)
            dataBytes = bytes
        case (nil, nil):
            report(.schemaViolation, "The event has no data.")
        default:
            report(.malformedMessage, "The event has both data and data_base64.")
        }
    }

    private mutating func parse(_ bytes: [UInt8]) -> JSONValue? {
        do throws(JSONError) {
            return try JSONDocument(bytes, maximumSize: .max).root
        } catch {
            report(.malformedMessage, "The body is not acceptable JSON: \(error).")
            return nil
        }
    }

    // MARK: The data

    private mutating func readData() {
        guard let name = attributes.type.value else { return }
        guard let type = CommandType(rawValue: name) else {
            if EventAttributes.isIdentity(name) {
                report(.unknownType, "There is no command of the type \(name).")
            }
            return
        }
        guard let data else { return }
        let violations = SchemaValidator.violations(of: type.schema, in: data)
        problems += violations
        guard violations.isEmpty else { return }
        command = CommandReader.command(type, data)
        if command == nil {
            report(.schemaViolation, "The data can't be read.")
        }
    }

    // MARK: What is wrong

    private mutating func report(_ code: RejectionCode, _ message: String, at pointer: String = "") {
        problems.append(Violation(code, at: pointer, message))
    }

    private var unreadable: UnreadableMessage {
        func known(_ attribute: EventAttributes.Attribute) -> String? {
            attribute.value.flatMap { EventAttributes.isIdentity($0) ? $0 : nil }
        }
        let id = known(attributes.id)
        let source = known(attributes.source)
        let first = problems.first ?? Violation(.malformedMessage, at: "", "The message can't be read.")
        return UnreadableMessage(
            violation: first, others: Array(problems.dropFirst().prefix(SchemaValidator.maximumViolations - 1)),
            key: id.flatMap { id in source.map { CommandKey(source: $0, id: id) } }, type: known(attributes.type),
            customerID: data?["customerId"]?.string.flatMap { CustomerID($0) }, traceparent: attributes.traceparent,
            tracestate: attributes.tracestate, replyTo: replyTo,
            correlationID: returnable(message.properties.correlationID))
    }
}
