// Holds a JSON value against a schema and lists what is wrong with it.

import Orders

/// Collects the violations of a schema, in the order of the document, each with a JSON pointer.
struct SchemaValidator {
    /// No more violations than this are listed.
    static let maximumViolations = 50

    private(set) var violations: [Violation] = []
    /// The member names and indices that lead to the value being looked at.
    private var path: [Step] = []

    private enum Step {
        case name(String)
        case index(Int)
    }

    /// Everything that is wrong with `value`, up to ``maximumViolations``.
    static func violations(of schema: Schema, in value: JSONValue) -> [Violation] {
        var validator = SchemaValidator()
        validator.check(value, schema)
        return validator.violations
    }

    private mutating func check(_ value: JSONValue, _ schema: Schema) {
        switch schema {
        case .object(let object):
            guard value.isObject else { return report("The value must be an object.") }
            check(membersOf: value, object)
        case .array(let element, let count):
            guard value.node.kind == .array else { return report("The value must be an array.") }
            check(elementsOf: value, element, count)
        case .text(let rule):
            guard let utf8 = value.utf8 else { return report("The value must be \(rule.expectation).") }
            guard rule.accepts(utf8) else { return report("The value must be \(rule.expectation(for: utf8)).") }
        case .choice(let choices):
            guard let utf8 = value.utf8, choices.contains(where: { utf8.elementsEqual($0.utf8) }) else {
                return report("The value must be one of: \(choices.joined(separator: ", ")).")
            }
        case .integer(let range):
            guard let number = value.integer, range.contains(number) else {
                return report("The value must be a whole number from \(range.lowerBound) to \(range.upperBound).")
            }
        case .boolean:
            guard value.bool != nil else { return report("The value must be true or false.") }
        case .nullable(let schema):
            if !value.isNull { check(value, schema) }
        }
    }

    private mutating func check(membersOf value: JSONValue, _ object: ObjectSchema) {
        var found: UInt64 = 0
        for member in value.members {
            guard let index = object.members.firstIndex(where: { member.isNamed($0.name) }) else {
                if !object.isOpen { reportUnknown(member.name) }
                continue
            }
            found |= 1 << UInt64(index)
            path.append(.name(object.members[index].name))
            check(member.value, object.members[index].schema)
            path.removeLast()
        }
        var hasOneOf = object.atLeastOneOf.isEmpty
        for (index, member) in object.members.enumerated() {
            let isThere = found & 1 << UInt64(index) != 0
            if isThere, object.atLeastOneOf.contains(member.name) { hasOneOf = true }
            if !isThere, member.isRequired { report("The member is required.", at: .name(member.name)) }
        }
        if !hasOneOf { report("At least one of these is required: \(object.atLeastOneOf.joined(separator: ", ")).") }
    }

    private mutating func check(elementsOf value: JSONValue, _ schema: Schema, _ count: ClosedRange<Int>) {
        var index = 0
        for element in value.elements {
            // What lies beyond the limit is not worth looking at: the count itself is wrong.
            if index < count.upperBound {
                path.append(.index(index))
                check(element, schema)
                path.removeLast()
            }
            index += 1
        }
        if !count.contains(index) {
            report("The array must have \(count.lowerBound) to \(count.upperBound) elements.")
        }
    }

    /// A member that isn't known. A very long name isn't repeated; the pointer is then that of the object.
    private mutating func reportUnknown(_ name: String) {
        if name.utf8.count <= 64 {
            report("No such member is known; is it misspelt?", at: .name(name))
        } else {
            report("The object has a member that isn't known.")
        }
    }

    private mutating func report(_ message: String, at step: Step? = nil) {
        guard violations.count < Self.maximumViolations else { return }
        let pointer = (path + (step.map { [$0] } ?? [])).map { step in
            switch step {
            case .name(let name): "/" + name.replacing("~", with: "~0").replacing("/", with: "~1")
            case .index(let index): "/\(index)"
            }
        }
        violations.append(Violation(.schemaViolation, at: pointer.joined(), message))
    }
}
