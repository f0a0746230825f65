// What the data of a command or an event may be. The validator and the JSON Schema document are both made from this.

/// A description of JSON values, smaller than JSON Schema and with one meaning only.
indirect enum Schema: Sendable {
    case object(ObjectSchema)
    case array(of: Schema, count: ClosedRange<Int>)
    case text(TextRule)
    /// One of these strings.
    case choice([String])
    /// A whole number: `25.0` and `2.5e1` are 25.
    case integer(ClosedRange<Int64>)
    case boolean
    /// The value or `null`.
    case nullable(Schema)
}

/// What an object may hold.
struct ObjectSchema: Sendable {
    let members: [Member]
    /// Whether members that aren't described here may be there.
    let isOpen: Bool
    /// At least one of these members has to be there; empty for no such rule.
    let atLeastOneOf: [String]

    init(isOpen: Bool = false, atLeastOneOf: [String] = [], _ members: [Member]) {
        self.members = members
        self.isOpen = isOpen
        self.atLeastOneOf = atLeastOneOf
    }

    /// A member of an object.
    struct Member: Sendable {
        let name: String
        let isRequired: Bool
        let schema: Schema
        /// A sentence for the document.
        let description: String?

        static func required(_ name: String, _ schema: Schema, _ description: String? = nil) -> Member {
            Member(name: name, isRequired: true, schema: schema, description: description)
        }

        static func optional(_ name: String, _ schema: Schema, _ description: String? = nil) -> Member {
            Member(name: name, isRequired: false, schema: schema, description: description)
        }
    }
}
