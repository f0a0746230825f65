// A schema as a JSON Schema document (2020-12).

extension Schema {
    /// The schema's keywords.
    var keywords: [(String, JSONTree)] {
        switch self {
        case .object(let object):
            return object.keywords
        case .array(let element, let count):
            var keywords: [(String, JSONTree)] = [("type", "array"), ("items", .object(element.keywords))]
            if count.lowerBound > 0 { keywords.append(("minItems", .integer(count.lowerBound))) }
            if count.upperBound < .max { keywords.append(("maxItems", .integer(count.upperBound))) }
            return keywords
        case .text(.identifier):
            return TextRule.identifier.keywords
        case .text(let rule):
            return [("type", "string")] + rule.keywords
        case .choice(let choices):
            return [("type", "string"), ("enum", .array(choices.map { .string($0) }))]
        case .integer(let range):
            return [
                ("type", "integer"), ("minimum", .integer(range.lowerBound)), ("maximum", .integer(range.upperBound)),
            ]
        case .boolean:
            return [("type", "boolean")]
        case .nullable(let schema):
            return [("anyOf", .array([.object(schema.keywords), .object([("type", "null")])]))]
        }
    }

    /// A whole document.
    ///
    /// - Parameters:
    ///   - id: the document's URI.
    ///   - title: the type of the command or event.
    func document(id: String, title: String, description: String) -> JSONTree {
        let head: [(String, JSONTree)] = [
            ("$schema", "https://json-schema.org/draft/2020-12/schema"), ("$id", .string(id)),
            ("title", .string(title)), ("description", .string(description)),
        ]
        return .object(head + keywords)
    }
}

extension ObjectSchema {
    fileprivate var keywords: [(String, JSONTree)] {
        let properties = members.map { member in
            let description = member.description.map { [("description", JSONTree.string($0))] } ?? []
            return (member.name, JSONTree.object(description + member.schema.keywords))
        }
        var keywords: [(String, JSONTree)] = [("type", "object"), ("properties", .object(properties))]
        let required = members.filter(\.isRequired).map { JSONTree.string($0.name) }
        if !required.isEmpty { keywords.append(("required", .array(required))) }
        if !atLeastOneOf.isEmpty {
            let choices = atLeastOneOf.map { JSONTree.object([("required", .array([.string($0)]))]) }
            keywords.append(("anyOf", .array(choices)))
        }
        if !isOpen { keywords.append(("additionalProperties", false)) }
        return keywords
    }
}
