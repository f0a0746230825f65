// The commands that `simulate` is given: as `publish` takes them, with who sends each and when it comes.

internal import FoundationEssentials
internal import OrderContract
internal import Orders

/// A command, by whom and when.
struct SimulatedCommand {
    let document: CommandDocument
    /// The login's name.
    let publisher: String
    /// When the worker takes it.
    let received: Timestamp

    /// Reads commands in their order.
    ///
    /// - Parameters:
    ///   - publisher: of commands that name none.
    ///   - start: when the first command comes where it doesn't say so.
    /// - Throws: ``Failure`` that names place and member of what can't be played.
    static func read(
        _ bytes: [UInt8], name: String, publisher: String?, start: Timestamp?
    ) throws -> [SimulatedCommand] {
        var now = start
        var count = 0
        return try CommandDocument.read(bytes, name: name) { event, place throws(CommandDocument.Problem) in
            count += 1
            let command = try SimulatedCommand(
                event, place: place, id: "simulated-\(count)", publisher: publisher, earliest: now)
            now = command.received
            return command
        }
    }

    private init(
        _ event: JSONValue, place: String, id: String, publisher: String?, earliest: Timestamp?
    ) throws(CommandDocument.Problem) {
        let time = try Self.time("time", of: event)
        let received = try Self.time("received", of: event)
        if let received, let earliest, received < earliest {
            throw CommandDocument.Problem(
                text:
                    "received is \(received), but the worker has come to \(earliest) already: commands come one after "
                    + "the other")
        }
        // A command whose own time is earlier is one that comes late.
        guard let now = received ?? [time, earliest].compactMap(\.self).max() else {
            throw CommandDocument.Problem(text: "time is missing: say when the command is sent, or begin at --start")
        }
        switch event["publisher"] {
        case nil:
            guard let publisher else {
                throw CommandDocument.Problem(
                    text: "publisher is missing: name the login that sends it here or with --publisher")
            }
            self.publisher = publisher
        case let value?:
            guard let name = value.string, !name.isEmpty else {
                throw CommandDocument.Problem(text: "publisher must be a login's name")
            }
            self.publisher = name
        }
        self.received = now
        document = try CommandDocument(event, place: place, id: id, time: now.description)
    }

    private static func time(_ member: String, of event: JSONValue) throws(CommandDocument.Problem) -> Timestamp? {
        guard let value = event[member] else { return nil }
        guard let time = value.string.flatMap({ Timestamp($0) }) else {
            throw CommandDocument.Problem(text: "\(member) must be a time such as 2026-11-30T12:00:00Z")
        }
        return time
    }
}
