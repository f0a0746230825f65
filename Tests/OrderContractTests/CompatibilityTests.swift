// Who relied on the last release can rely on this one.

import Foundation
import OrderContract
import Testing

/// The schemas of the releases lie in `Released/NUMBER`, a file each, as `order-worker contract schema NAME` prints them.
/// With each release they are written once more, into a folder with the next number, and never changed.
@Suite("The contract and its releases")
struct CompatibilityTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Released")

    /// The schemas of the last release by name.
    private static func lastRelease() throws -> [String: JSONValue] {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        return try release(#require(names.compactMap { Int($0) }.max(), "no release is stored"))
    }

    private static func release(_ number: Int) throws -> [String: JSONValue] {
        let release = folder.appendingPathComponent("\(number)")
        let files = try FileManager.default.contentsOfDirectory(at: release, includingPropertiesForKeys: nil)
        return try Dictionary(
            uniqueKeysWithValues: files.map { file in
                (file.deletingPathExtension().lastPathComponent, try schema([UInt8](Data(contentsOf: file))))
            })
    }

    private static func schema(_ text: [UInt8]) throws -> JSONValue { try JSONDocument(text).root }

    @Test("Every command of the last release is still accepted, and every promise about an event is kept")
    func lastRelease() throws {
        let released = try Self.lastRelease()
        #expect(released.count >= 25)
        for (name, old) in released.sorted(by: { $0.key < $1.key }) {
            let text = try #require(Contract.schema(named: name), "\(name) was removed")
            let kind: SchemaComparison.Kind = name.hasPrefix("command.") ? .command : .event
            let new = try Self.schema(Array(text.utf8))
            #expect(SchemaComparison.breaks(kind, old: old, new: new) == [], "\(name)")
        }
    }

    @Test("What a release took back of what the one before promised is in the change log, and nothing else is")
    func changeLog() throws {
        let first = try Self.release(1)
        let second = try Self.release(2)
        let breaks = first.keys.sorted().flatMap { name -> [String] in
            guard let old = first[name], let new = second[name] else { return ["\(name) was removed"] }
            let kind: SchemaComparison.Kind = name.hasPrefix("command.") ? .command : .event
            return SchemaComparison.breaks(kind, old: old, new: new).map { "\(name)\($0)" }
        }
        #expect(
            breaks == [
                "event.customer.created/address/country: enum XK", "event.customer.updated/address/country: enum XK",
            ])
        let log = try #require(Contract.changeLog.first { $0.release == 2 })
        #expect(log.change.contains("XK"))
    }

    @Test("Every member that came since the first release is named in the change log")
    func additions() throws {
        func members(_ schema: JSONValue, _ path: String = "") -> Set<String> {
            let own = (schema["properties"].map { Array($0.members) } ?? []).flatMap { member in
                [path + member.name] + members(member.value, path + member.name + "/")
            }
            let inner = [schema["items"]].compactMap(\.self) + (schema["anyOf"].map { Array($0.elements) } ?? [])
            return inner.reduce(into: Set(own)) { $0.formUnion(members($1, path)) }
        }
        let first = try Self.release(1)
        let log = Contract.changeLog.map(\.change).joined()
        var added: Set<String> = []
        for (name, old) in first {
            let text = try #require(Contract.schema(named: name))
            added.formUnion(members(try Self.schema(Array(text.utf8))).subtracting(members(old)))
        }
        // The members of what was added as a whole go without saying.
        let names = added.filter { path in !added.contains { path.hasPrefix($0 + "/") } }.compactMap {
            $0.split(separator: "/").last
        }
        #expect(names.count > 10)
        for name in names { #expect(log.contains("`\(name)`"), "\(name)") }
    }

    // MARK: The comparison itself

    /// Two versions of a schema, of which the second accepts less than the first.
    struct Narrowing: Sendable, CustomTestStringConvertible {
        let wide: String
        let narrow: String
        /// What the comparison says of it, for commands and for events.
        let found: String

        init(_ found: String, _ wide: String, to narrow: String) {
            (self.found, self.wide, self.narrow) = (found, wide, narrow)
        }

        var testDescription: String { "\(wide) to \(narrow)" }

        static let all: [Narrowing] = [
            Narrowing(": type", #"{}"#, to: #"{"type":"string"}"#),
            Narrowing(": minimum", #"{"minimum":0}"#, to: #"{"minimum":1}"#),
            Narrowing(": minimum", #"{}"#, to: #"{"minimum":-9223372036854775808}"#),
            Narrowing(": maximum", #"{"maximum":9223372036854775807}"#, to: #"{"maximum":9223372036854775806}"#),
            Narrowing(": maximum", #"{}"#, to: #"{"maximum":9}"#),
            Narrowing(": minLength", #"{"minLength":1}"#, to: #"{"minLength":2}"#),
            Narrowing(": maxLength", #"{"maxLength":64}"#, to: #"{"maxLength":63}"#),
            Narrowing(": maxLength", #"{}"#, to: #"{"maxLength":63}"#),
            Narrowing(": minItems", #"{}"#, to: #"{"minItems":1}"#),
            Narrowing(": maxItems", #"{"maxItems":100}"#, to: #"{"maxItems":99}"#),
            Narrowing(": pattern", #"{}"#, to: #"{"pattern":"^a"}"#),
            Narrowing(": not", #"{}"#, to: #"{"not":{"pattern":"b"}}"#),
            Narrowing(": format", #"{}"#, to: #"{"format":"uuid"}"#),
            Narrowing(": enum b", #"{"enum":["a","b"]}"#, to: #"{"enum":["a"]}"#),
            Narrowing(": enum ", #"{}"#, to: #"{"enum":["a"]}"#),
            Narrowing("/a: required", #"{"properties":{"a":{}}}"#, to: #"{"properties":{"a":{}},"required":["a"]}"#),
            Narrowing(": additionalProperties", #"{}"#, to: #"{"additionalProperties":false}"#),
            Narrowing(": type", #"{"anyOf":[{"type":"string"},{"type":"null"}]}"#, to: #"{"type":"string"}"#),
            Narrowing(
                "/b: required", #"{"anyOf":[{"required":["a"]},{"required":["b"]}]}"#, to: #"{"required":["b"]}"#),
            Narrowing("/a: required", #"{}"#, to: #"{"anyOf":[{"required":["a"]}]}"#),
            Narrowing(
                "/l/*/q: maximum", #"{"properties":{"l":{"items":{"properties":{"q":{"maximum":9}}}}}}"#,
                to: #"{"properties":{"l":{"items":{"properties":{"q":{"maximum":8}}}}}}"#),
            Narrowing(
                "/l/*/a: required", #"{"properties":{"l":{"items":{}}}}"#,
                to: #"{"properties":{"l":{"items":{"required":["a"]}}}}"#),
        ]
    }

    @Test(
        "A command's schema that accepts less is a break, and one that accepts more is none", arguments: Narrowing.all)
    func commands(change: Narrowing) throws {
        let (wide, narrow) = (try Self.schema(Array(change.wide.utf8)), try Self.schema(Array(change.narrow.utf8)))
        let found = change.found.replacing(": required", with: ": is now required")
        #expect(SchemaComparison.breaks(.command, old: wide, new: narrow) == [found])
        #expect(SchemaComparison.breaks(.command, old: narrow, new: wide) == [])
        #expect(SchemaComparison.breaks(.command, old: wide, new: wide) == [])
    }

    @Test(
        "An event's schema that promises less is a break, and one that promises more is none", arguments: Narrowing.all)
    func events(change: Narrowing) throws {
        let (wide, narrow) = (try Self.schema(Array(change.wide.utf8)), try Self.schema(Array(change.narrow.utf8)))
        let found = change.found.replacing(": required", with: ": is no longer promised")
        #expect(SchemaComparison.breaks(.event, old: narrow, new: wide) == [found])
        #expect(SchemaComparison.breaks(.event, old: wide, new: narrow) == [])
        #expect(SchemaComparison.breaks(.event, old: narrow, new: narrow) == [])
    }

    @Test(
        "What can't be shown to be harmless is a break for both",
        arguments: [
            (#"{"type":"string"}"#, #"{"type":"integer"}"#, ": type"),
            (#"{"pattern":"^a"}"#, #"{"pattern":"^[ab]"}"#, ": pattern"),
            (#"{"not":{"pattern":"^a"}}"#, #"{"not":{"pattern":"^ab"}}"#, ": not"),
            (#"{"format":"date"}"#, #"{"format":"date-time"}"#, ": format"),
            (#"{"properties":{"a":{}}}"#, #"{"properties":{"b":{}}}"#, "/a: the member was removed"),
            (#"{"properties":{"a":{}}}"#, #"{}"#, "/a: the member was removed"),
            (#"{"items":{}}"#, #"{}"#, ": items"),
            (#"{}"#, #"{"items":{}}"#, ": items"),
            (#"{}"#, #"{"oneOf":[]}"#, ": the keyword oneOf can't be compared"),
            (#"{"enum":["a","b"]}"#, #"{"enum":["b","c"]}"#, ": enum"),
        ])
    func both(old: String, new: String, found: String) throws {
        for kind in [SchemaComparison.Kind.command, .event] {
            let breaks = SchemaComparison.breaks(
                kind, old: try Self.schema(Array(old.utf8)), new: try Self.schema(Array(new.utf8)))
            #expect(breaks.count == 1)
            #expect(breaks.first?.hasPrefix(found) == true, "\(breaks)")
        }
    }

    @Test("A new optional member, other words, and another order are no breaks")
    func harmless() throws {
        let old = #"{"title":"t","required":["a","c"],"properties":{"a":{"type":"string"},"c":{"enum":["x","y"]}}}"#
        let new = #"""
            {"description":"d","required":["c","a"],
            "properties":{"c":{"enum":["y","x"]},"b":{"type":"boolean"},"a":{"description":"d","type":"string"}}}
            """#
        for kind in [SchemaComparison.Kind.command, .event] {
            let breaks = SchemaComparison.breaks(
                kind, old: try Self.schema(Array(old.utf8)), new: try Self.schema(Array(new.utf8)))
            #expect(breaks == [])
        }
    }
}
