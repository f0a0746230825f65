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
    /// Where it stands in its file: `line 3`, `command 2`.
    let place: String

    /// The `source` of events that name none.
    static let ownSource = "order-worker publish"

    /// Reads one event, an array of events, or one event a line.
    ///
    /// Where they are missing, `id` (a random UUID), `time` (now), `specversion` and `source` are filled in.
    ///
    /// - Throws: ``Failure`` that names the first event that can't be sent: it isn't a JSON object, or its data has no
    ///   `customerId`, which is the routing key.
    static func read(_ bytes: [UInt8], name: String, now: Date = Date()) throws -> [CommandDocument] {
        try read(bytes, name: name) { event, place throws(Problem) in
            try CommandDocument(
                event, place: place, id: UUID().uuidString.lowercased(),
                time: now.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true)))
        }
    }

    /// Reads the events in one of these forms, each by `body`.
    ///
    /// - Throws: ``Failure`` that names the place of what isn't JSON or is a problem to `body`.
    static func read<Command>(
        _ bytes: [UInt8], name: String, _ body: (_ event: JSONValue, _ place: String) throws(Problem) -> Command
    ) throws -> [Command] {
        try values(bytes, name: name).map { place, event in
            do throws(Problem) {
                return try body(event, place)
            } catch {
                throw Failure(status: .refused, message: "\(name), \(place): \(error.text).")
            }
        }
    }

    private static func values(_ bytes: [UInt8], name: String) throws -> [(place: String, event: JSONValue)] {
        do throws(JSONError) {
            let root = try document(bytes).root
            let events = root.source.first == UInt8(ascii: "[") ? Array(root.elements) : [root]
            return events.enumerated().map { ("command \($0 + 1)", $1) }
        } catch {
            let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated()
                .filter { !$0.element.allSatisfy { $0 <= 0x20 } }
            guard let first = lines.first, lines.count > 1, (try? document(Array(first.element))) != nil else {
                throw Failure(status: .refused, message: "\(name) isn't JSON: \(error).")
            }
            return try lines.map { index, line in
                do throws(JSONError) {
                    return ("line \(index + 1)", try document(Array(line)).root)
                } catch {
                    throw Failure(status: .refused, message: "\(name), line \(index + 1) isn't JSON: \(error).")
                }
            }
        }
    }

    private static func document(_ bytes: [UInt8]) throws(JSONError) -> JSONDocument {
        // The limits of a message are the worker's to judge.
        try JSONDocument(bytes, maximumSize: Int(Int32.max), maximumDepth: 200)
    }

    /// Why an event can't be sent.
    struct Problem: Error {
        let text: String
    }

    /// - Parameters:
    ///   - id: of an event that has none.
    ///   - time: of an event that has none.
    init(
        _ event: JSONValue, place: String, id: @autoclosure () -> String, time: @autoclosure () -> String
    ) throws(Problem) {
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
        self.id = given("id", else: id())
        source = given("source", else: Self.ownSource)
        _ = given("time", else: time())
        type = event["type"]?.string ?? ""
        self.customerID = customerID
        self.place = place
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
    /// - Parameters:
    ///   - replyTo: where the outcome is to be sent besides.
    ///   - user: the login's name, which the broker verifies.
    func message(
        correlationID: String?, replyTo: String? = CallerConnection.replyQueue, user: String?
    ) -> Message {
        Message(
            properties: MessageProperties(
                contentType: "application/cloudevents+json", correlationID: correlationID,
                replyTo: replyTo, userID: user, deliveryMode: .persistent),
            body: body)
    }
}
