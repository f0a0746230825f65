// `order-worker simulate`, as a process of its own: nothing of it needs a server.

import Foundation
import OrderContract
import Testing

@testable import order_worker

@Suite("Simulating", .timeLimit(.minutes(2)))
struct SimulateTests {
    private static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../..").standardizedFileURL
    private static let catalog = repository.appendingPathComponent("deploy/sample/catalog.json").path
    private static let customer = "018f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b10"

    private static func create(_ members: String = #""time": "2026-11-02T15:00:00Z", "publisher": "publisher""#)
        -> String
    {
        let address =
            #"{"line1": "1 Main St", "city": "Albany", "postalCode": "12207", "stateOrProvince": "NY", "country": "US"}"#
        return
            #"{"type": "customer.create", \#(members), "data": {"customerId": "\#(customer)", "companyName": "Example", "#
            + #""administrativeResponsibility": "partnerAdministered", "address": \#(address)}}"#
    }

    private static func order(_ id: String, at time: String, term: String = "P1M", members: String = "") -> String {
        #"{"type": "subscription.order", "id": "\#(id)", "time": "\#(time)", "publisher": "publisher"\#(members), "data": "#
            + #"{"customerId": "\#(customer)", "subscriptions": [{"subscriptionId": "018f4c2f-11aa-7b0c-8e21-5d1c3a7b9e42", "#
            + #""product": "enterprise-pki", "term": "\#(term)", "autoRenewal": true, "#
            + #""inventory": [{"certificateType": "ov-ssl", "quantity": 10}]}]}}"#
    }

    private static func run(_ input: String, _ options: String...) async throws -> Program.Ending {
        try await Program(["simulate", "-", "--catalog", catalog] + options, input: input).ending()
    }

    /// The events of an output in JSON.
    private static func events(_ output: String) throws -> [JSONValue] {
        try output.split(separator: "\n").map { try JSONDocument(Array($0.utf8)).root }
    }

    @Test("The README's example prints what the README says")
    func readme() async throws {
        let readme = try String(contentsOf: Self.repository.appendingPathComponent("README.md"), encoding: .utf8)
        let parts = readme.split(separator: /<!-- \/?simulated -->\n/, omittingEmptySubsequences: false)
        try #require(parts.count == 3)
        let lines = parts[1].split(separator: "\n").map { $0.dropFirst(4) }
        let file = Self.repository.appendingPathComponent("deploy/sample/simulate.jsonl").path
        let ending = try await Program(
            ["simulate", file, "--catalog", Self.catalog, "--publisher", "publisher", "--until", "2026-11-30"]
        ).ending()
        #expect(ending.status == 0, "\(ending.errors)")
        #expect(ending.output.split(separator: "\n") == lines)
    }

    @Test("The same input and seed print the same, another seed other ids and the same books")
    func deterministic() async throws {
        let input = [Self.create(), Self.order("o", at: "2026-11-02T15:00:01Z")].joined(separator: "\n")
        func output(_ seed: String) async throws -> String {
            let ending = try await Self.run(input, "--json", "--until", "2027-03-31", "--seed", seed)
            #expect(ending.status == 0 && ending.errors.isEmpty)
            return ending.output
        }
        let first = try await output("7")
        #expect(try await output("7") == first)
        let other = try await output("8")
        #expect(other != first)
        func types(_ output: String) throws -> [String?] { try Self.events(output).map { $0["type"]?.string } }
        #expect(try types(other) == types(first))
        // Every event keeps the contract, and the order of its customer.
        let events = try Self.events(first)
        for event in events {
            let type = try #require(event["type"]?.string)
            #expect(Contract.check(type: "event.\(type)", data: Array(try #require(event["data"]).source)) == [])
        }
        #expect(events.compactMap { $0["data"]?["sequence"]?.integer } == Array(1...Int64(events.count)))
    }

    @Test(
        "Time passes to the end of the day in the partner's zone: the month is closed, the next day's renewal hasn't come"
    )
    func until() async throws {
        // In New York the month ends at five o'clock, and so does the period.
        let input = [Self.create(), Self.order("o", at: "2026-11-01T17:00:00Z")].joined(separator: "\n")
            .replacing("2026-11-02T15:00:00Z", with: "2026-11-01T16:00:00Z")
        func types(_ until: String) async throws -> [String] {
            let ending = try await Self.run(input, "--json", "--until", until)
            return try Self.events(ending.output).dropFirst(3).compactMap { $0["type"]?.string }
        }
        #expect(try await types("2026-11-29") == [])
        #expect(try await types("2026-12-01T04:59:59Z") == [])
        #expect(try await types("2026-11-30") == ["invoice.closed", "customer.settled"])
        #expect(
            try await types("2026-12-01") == [
                "invoice.closed", "subscription.renewed", "customer.settled", "invoice.updated",
            ])
    }

    @Test("A command that comes late counts as of its own time, and what was sent before gets its outcome again")
    func lateAndRepeated() async throws {
        let late = Self.order("late", at: "2026-11-30T23:00:00Z", members: #", "received": "2026-12-01T12:00:00Z""#)
        let ending = try await Self.run([Self.create(), late, late].joined(separator: "\n"), "--json")
        #expect(ending.status == 0)
        let ordered = try Self.events(ending.output).filter { $0["type"]?.string == "subscription.ordered" }
        try #require(ordered.count == 2)
        #expect(ordered[0]["id"]?.string == ordered[1]["id"]?.string)
        let line = ordered[0]["data"]?["transactions"].flatMap { Array($0.elements).first }
        #expect(line?["date"]?.string == "2026-11-30" && line?["bookedOn"]?.string == "2026-12-01")
    }

    @Test("What breaks a rule or the contract is refused as by a worker, and the status says so")
    func refused() async throws {
        let early = Self.order("o", at: "2026-11-02T15:00:01Z").replacing(
            #""autoRenewal""#, with: #""startDate": "2026-01-01", "autoRenewal""#)
        let misspelt = Self.order("p", at: "2026-11-02T15:00:02Z").replacing("autoRenewal", with: "autorenewal")
        let foreign = Self.order("q", at: "2026-11-02T15:00:03Z").replacing(
            #""publisher": "publisher""#, with: #""publisher": "nordwind""#)
        let ending = try await Self.run([Self.create(), early, misspelt, foreign].joined(separator: "\n"))
        #expect(ending.status == 1 && ending.errors.isEmpty)
        for words in [
            "line 2: subscription.order o by publisher at 2026-11-02T15:00:01Z", "start_date_too_early",
            "at /subscriptions/0/startDate", "at /subscriptions/0/autorenewal", "customer_unknown",
        ] { #expect(ending.output.contains(words), "\(words)") }
    }

    @Test(
        "Input that can't be played is an error that names line and member",
        arguments: [
            (create() + "\n\n{]", "standard input, line 3 isn't JSON"),
            (
                create() + "\n" + create(#""time": "yesterday", "publisher": "p""#),
                "line 2: time must be a time such as"
            ),
            (create(#""publisher": "p""#), "command 1: time is missing"),
            (create(#""time": "2026-11-02T15:00:00Z""#), "command 1: publisher is missing"),
            (create(#""time": "2026-11-02T15:00:00Z", "publisher": 7"#), "command 1: publisher must be a login's name"),
            (
                create() + "\n" + create(#""received": "2026-11-02T14:00:00Z", "publisher": "p""#),
                "line 2: received is 2026-11-02T14:00:00Z, but the worker has come to 2026-11-02T15:00:00Z"
            ),
            (
                #"{"type": "customer.create", "time": "2026-11-02T15:00:00Z", "publisher": "p", "data": {}}"#,
                "customerId"
            ),
        ])
    func errors(input: String, named: String) async throws {
        let ending = try await Self.run(input)
        #expect(ending.status == 1)
        #expect(ending.output.isEmpty)
        #expect(ending.errors.contains(named), "\(ending.errors)")
    }

    @Test("Commands without a time come with the one before, from the start on that is named")
    func start() async throws {
        let input = "[\(Self.create(#""publisher": "publisher""#))]"
        let ending = try await Self.run(input, "--start", "2026-11-05T00:00:00Z", "--json")
        #expect(ending.status == 0)
        #expect(try Self.events(ending.output).map { $0["time"]?.string } == ["2026-11-05T00:00:00Z"])
    }
}
