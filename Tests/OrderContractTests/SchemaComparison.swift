// What in a schema would break those who rely on an earlier one.

@testable import OrderContract

/// Compares two versions of a schema, keyword by keyword, as far as this project's schemas use any.
///
/// A command's schema may only come to accept more: whatever a publisher sends today must still be accepted. An event's may
/// only come to promise more: whatever is published must still be what a consumer was told. Where neither can be proved, as
/// with two different patterns, it counts as a break.
struct SchemaComparison {
    enum Kind {
        case command
        case event
    }

    /// - Returns: a line for each break, `/pointer: what`; none where the new schema is compatible.
    static func breaks(_ kind: Kind, old: JSONValue, new: JSONValue) -> [String] {
        SchemaComparison(kind: kind).compare(Keywords(old), Keywords(new), at: "")
    }

    private let kind: Kind

    /// A schema's keywords by name.
    private struct Keywords {
        var values: [String: JSONValue]

        init(_ schema: JSONValue) {
            values = Dictionary(schema.members.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 })
        }

        subscript(name: String) -> JSONValue? { values[name] }

        /// The members that have to be there, those of the schema's alternative included.
        var required: Set<String> { texts("required").union(alternative) }
        var alternative: Set<String> = []

        func texts(_ name: String) -> Set<String> {
            Set(values[name]?.elements.compactMap(\.string) ?? [])
        }

        /// The schema without its `anyOf`, combined with each of the alternatives.
        var alternatives: [Keywords]? {
            guard let choices = values["anyOf"] else { return nil }
            return choices.elements.map { choice in
                var keywords = self
                keywords.values["anyOf"] = nil
                let own = Keywords(choice)
                keywords.alternative.formUnion(own.texts("required"))
                keywords.values.merge(own.values.filter { $0.key != "required" }) { $1 }
                return keywords
            }
        }
    }

    // MARK: One schema

    private func compare(_ old: Keywords, _ new: Keywords, at pointer: String) -> [String] {
        // Everything that `narrow` allows has to be allowed by `wide` as well.
        let (narrow, wide) = kind == .command ? (old, new) : (new, old)
        if narrow["anyOf"] != nil || wide["anyOf"] != nil {
            let choices = wide.alternatives ?? [wide]
            return (narrow.alternatives ?? [narrow]).flatMap { alternative -> [String] in
                let attempts = choices.map { choice in
                    kind == .command
                        ? compare(alternative, choice, at: pointer) : compare(choice, alternative, at: pointer)
                }
                return attempts.min { $0.count < $1.count } ?? ["\(pointer): nothing is allowed any more"]
            }
        }
        return unknownKeywords(old, new, at: pointer) + compareMembers(old, new, at: pointer)
            + compareItems(old, new, at: pointer) + compareRules(narrow, wide, at: pointer)
    }

    private static let known: Set<String> = [
        "$schema", "$id", "title", "description", "type", "properties", "required", "additionalProperties", "items",
        "minItems", "maxItems", "enum", "minimum", "maximum", "minLength", "maxLength", "pattern", "not", "format",
    ]

    private func unknownKeywords(_ old: Keywords, _ new: Keywords, at pointer: String) -> [String] {
        Set(old.values.keys).union(new.values.keys).subtracting(Self.known).sorted().map {
            "\(pointer): the keyword \($0) can't be compared"
        }
    }

    private func compareMembers(_ old: Keywords, _ new: Keywords, at pointer: String) -> [String] {
        let properties = new["properties"]
        var breaks = (old["properties"].map { Array($0.members) } ?? []).flatMap { member -> [String] in
            let inner = "\(pointer)/\(member.name)"
            guard let successor = properties?[member.name] else { return ["\(inner): the member was removed"] }
            return compare(Keywords(member.value), Keywords(successor), at: inner)
        }
        let (narrow, wide) = kind == .command ? (old, new) : (new, old)
        let word = kind == .command ? "is now required" : "is no longer promised"
        breaks += wide.required.subtracting(narrow.required).sorted().map { "\(pointer)/\($0): \(word)" }
        if isOpen(narrow), !isOpen(wide) { breaks.append("\(pointer): additionalProperties") }
        return breaks
    }

    private func isOpen(_ keywords: Keywords) -> Bool { keywords["additionalProperties"]?.bool != false }

    private func compareItems(_ old: Keywords, _ new: Keywords, at pointer: String) -> [String] {
        switch (old["items"], new["items"]) {
        case (nil, nil): []
        case (let old?, let new?): compare(Keywords(old), Keywords(new), at: "\(pointer)/*")
        default: ["\(pointer): items"]
        }
    }

    /// The keywords that stand for themselves.
    private func compareRules(_ narrow: Keywords, _ wide: Keywords, at pointer: String) -> [String] {
        var breaks: [String] = []
        for name in ["type", "pattern", "not", "format"] {
            guard let rule = wide[name] else { continue }
            // How deep a rule stands, and so how it is indented, makes no difference.
            if narrow[name].map({ JSONTree($0).text }) != JSONTree(rule).text { breaks.append("\(pointer): \(name)") }
        }
        for name in ["minimum", "minLength", "minItems", "maximum", "maxLength", "maxItems"] {
            guard let bound = wide[name] else { continue }
            guard let limit = bound.integer, let given = narrow[name]?.integer,
                name.hasPrefix("min") ? given >= limit : given <= limit
            else {
                breaks.append("\(pointer): \(name)")
                continue
            }
        }
        if wide["enum"] != nil {
            let lost = narrow.texts("enum").subtracting(wide.texts("enum"))
            if narrow["enum"] == nil || !lost.isEmpty {
                breaks.append("\(pointer): enum \(lost.sorted().joined(separator: " "))")
            }
        }
        return breaks
    }
}
