// The contract as documents: everything that is printed of it is made from the lists and rules that the code runs on.

public import Orders

/// The contract between publishers, this worker and consumers.
public enum Contract {
    /// The names of all schemas: `command.TYPE` and `event.TYPE`.
    public static var schemaNames: [String] {
        publicCommands.map { "command.\($0.rawValue)" } + EventType.allCases.map { "event.\($0.rawValue)" }
    }

    /// Every code that a rejection or a violation can have, and its meaning.
    public static var codes: [(code: String, meaning: String)] {
        RejectionCode.allCases.map { ($0.rawValue, $0.meaning) }
    }

    /// What each release changed: first what consumers of the one before were promised otherwise, then what only came to be
    /// told or accepted as well.
    public static let changeLog: [(release: Int, change: String)] = [
        (2, "A customer's country can be XK, for Kosovo, which ISO 3166-1 has no code for."),
        (
            2,
            "An invoice's number counts from 1 in each month and kind: it names the invoice together with its partner, "
                + "`series` and `kind`. Invoices closed before keep their numbers and have no `series`."
        ),
        (
            2,
            "Events also tell `part` of what is too large for one; `date`, `bookedOn`, `refundableUntil` and `resellerId` of "
                + "a transaction; what a renewal or expiry has `dropped`; the `resellerId` of an invoice's line; and how many "
                + "violations a refusal leaves out (`violationsOmitted`)."
        ),
        (
            2,
            "Accepted as well: `customerAdminEmail` in customer.update, `quoteOnly` in subscription.enable, an empty "
                + "renewalInventory, ids in upper case, and addresses without postalCode or stateOrProvince where the "
                + "country has none."
        ),
    ]

    /// The commands that others may send: all but the worker's own.
    public static var publicCommands: [CommandType] { CommandType.allCases.filter { $0 != .customerSettle } }

    /// Whether a text can be the id of a partner, reseller, product or certificate type: what commands can name and
    /// events can tell.
    public static func isCatalogID(_ text: String) -> Bool { TextRule.catalogID.accepts(Array(text.utf8)[...]) }

    /// The JSON Schema (2020-12) of a command's or an event's data, as text; nil if there is none of this name.
    ///
    /// - Parameter name: `command.TYPE` or `event.TYPE`, or the type alone: where a command and an event have the same
    ///   type, it is the command's.
    public static func schema(named name: String) -> String? {
        if let command = command(named: name) {
            return command.document.text
        }
        return event(named: name)?.document.text
    }

    /// Holds data against the schema of its type, exactly as the decoder does.
    ///
    /// - Parameters:
    ///   - type: as in ``schema(named:)``.
    ///   - data: JSON text.
    /// - Returns: nothing if the data is accepted.
    public static func check(type: String, data: [UInt8]) -> [Violation] {
        guard let schema = command(named: type)?.schema ?? event(named: type)?.schema else {
            return [Violation(.unknownType, at: "", "There is no command or event of the type \(type).")]
        }
        do throws(JSONError) {
            let document = try JSONDocument(data, maximumSize: .max)
            return SchemaValidator.violations(of: schema, in: document.root)
        } catch {
            return [Violation(.malformedMessage, at: "", "The data is not acceptable JSON: \(error).")]
        }
    }

    /// One line of `order-worker contract check`: an object with the `type` and the `data`, which is the JSON text as a
    /// string, or the value itself.
    ///
    /// - Returns: one line: `accepted`, or `refused: CODE POINTER` of the first violation, escaped like a JSON string.
    public static func check(line: [UInt8]) -> String {
        let violations: [Violation]
        do throws(JSONError) {
            let line = try JSONDocument(line, maximumSize: .max, maximumDepth: 64).root
            if let type = line["type"]?.string, let data = line["data"] {
                violations = check(type: type, data: Array(data.utf8 ?? data.source))
            } else {
                violations = [Violation(.malformedMessage, at: "", "The line has no type or no data.")]
            }
        } catch {
            violations = [Violation(.malformedMessage, at: "", "The line is not acceptable JSON: \(error).")]
        }
        guard let first = violations.first else { return "accepted" }
        var pointer = JSONWriter()
        pointer.string(first.pointer)
        let escaped = String(decoding: pointer.bytes.dropFirst().dropLast(), as: UTF8.self)
        return "refused: \(first.code.rawValue) \(escaped)"
    }

    private static func command(named name: String) -> CommandType? {
        CommandType(rawValue: name.hasPrefix("command.") ? String(name.dropFirst("command.".count)) : name)
    }

    private static func event(named name: String) -> EventType? {
        EventType(rawValue: name.hasPrefix("event.") ? String(name.dropFirst("event.".count)) : name)
    }
}

extension CommandType {
    /// The schema as a document.
    var document: JSONTree {
        schema.document(id: "urn:order-worker:command:\(rawValue)", title: rawValue, description: summary)
    }
}

extension EventType {
    /// The schema as a document.
    var document: JSONTree {
        schema.document(id: "urn:order-worker:event:\(rawValue)", title: rawValue, description: summary)
    }
}
