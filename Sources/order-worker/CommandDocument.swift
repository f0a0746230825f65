// The commands that `publish` is given: read, and completed by what may be left out.

internal import AMQP
internal import FoundationEssentials
internal import OrderContract

/// A command as a CloudEvent in the structured mode, ready to publish.
struct CommandDocument: Sendable {
    let id: String
    let source: String
    let type: String
    let customerID: String
    /// The event as JSON text.
    let body: [UInt8]

    /// The `source` of events that name none.
    static let ownSource = "order-worker publish"

    /// Reads one event, an array of events, or one event a line.
    ///
    /// Where they are missing, `id` (a random UUID), `time` (now), `specversion` and `source` are filled in.
    ///
    /// - Throws: ``Failure`` that names the first event that can't be sent: it isn't a JSON object, or its data has no
    ///   `customerId`, which is the routing key.
    static func read(_ bytes: [UInt8], name: String, now: Date = Date()) throws -> [CommandDocument] {
        try values(bytes, name: name).enumerated().map { index, value in
            do {
                return try CommandDocument(value, now: now)
            } catch let problem as Problem {
                throw Failure(status: .refused, message: "\(name), command \(index + 1): \(problem.text).")
            }
        }
    }

    private static func values(_ bytes: [UInt8], name: String) throws -> [JSONValue] {
        do throws(JSONError) {
            let root = try document(bytes).root
            return root.source.first == UInt8(ascii: "[") ? Array(root.elements) : [root]
        } catch {
            let lines = bytes.split(separator: UInt8(ascii: "\n")).filter { !$0.allSatisfy { $0 <= 0x20 } }
            guard let first = lines.first, lines.count > 1, (try? document(Array(first))) != nil else {
                throw Failure(status: .refused, message: "\(name) isn't JSON: \(error).")
            }
            return try lines.enumerated().map { index, line in
                do throws(JSONError) {
                    return try document(Array(line)).root
                } catch {
                    throw Failure(status: .refused, message: "\(name), JSON line \(index + 1): \(error).")
                }
            }
        }
    }

    private static func document(_ bytes: [UInt8]) throws(JSONError) -> JSONDocument {
        // The limits of a message are the worker's to judge.
        try JSONDocument(bytes, maximumSize: Int(Int32.max), maximumDepth: 200)
    }

    private struct Problem: Error {
        let text: String
    }

    private init(_ event: JSONValue, now: Date) throws {
        guard event.isObject else { throw Problem(text: "it isn't an object") }
        guard let customerID = event["data"]?["customerId"]?.string, customerID.utf8.count <= 255 else {
            throw Problem(text: "its data has no customerId, by which it would be routed")
        }
        var added: [(name: String, value: String)] = []
        func given(_ name: String, else value: @autoclosure () -> String) -> String {
            if let given = event[name] { return given.string ?? "" }
            let value = value()
            added.append((name, value))
            return value
        }
        _ = given("specversion", else: "1.0")
        id = given("id", else: UUID().uuidString.lowercased())
        source = given("source", else: Self.ownSource)
        _ = given("time", else: now.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true)))
        type = event["type"]?.string ?? ""
        self.customerID = customerID
        body = Self.object(event, adding: added)
    }

    /// The object's own text with members put in front.
    private static func object(_ event: JSONValue, adding members: [(name: String, value: String)]) -> [UInt8] {
        if members.isEmpty { return Array(event.source) }
        var writer = JSONWriter()
        writer.object { writer in
            for (name, value) in members { writer.member(name, value) }
        }
        // An event that has data isn't empty, so that a comma has to follow.
        return writer.bytes.dropLast() + [UInt8(ascii: ",")] + event.source.dropFirst()
    }

    /// The message for the exchange `orders`.
    ///
    /// - Parameter user: the login's name, which the broker verifies.
    func message(correlationID: String, user: String?) -> Message {
        Message(
            properties: MessageProperties(
                contentType: "application/cloudevents+json", correlationID: correlationID,
                replyTo: CallerConnection.replyQueue, userID: user, deliveryMode: .persistent),
            body: body)
    }
}
