// `order-worker audit`: proves that the books add up.

internal import ArgumentParser
internal import Logging
internal import OrderContract
internal import OrderStore
internal import Orders
internal import PostgreSQL

struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit",
        abstract: "Check every invariant over the whole database: a line each, with the ids of what breaks it.",
        discussion: """
            Reads one snapshot and changes nothing: workers may go on meanwhile. Exit status 1 if anything breaks an \
            invariant. With --json it prints one object: isSound, and checks with name, invariant, breaches (how many \
            there are), offender (what one is called) and examples (customerId, id).
            """)

    @Flag(help: "Print one JSON object.") var json = false
    @Option(help: ArgumentHelp("How many breaches of each check to name; all are counted.", valueName: "number"))
    var limit = 10
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var waiting: WaitOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if limit < 1 { throw ValidationError("--limit must be at least 1.") }
    }

    func run() async throws {
        let settings = try common.load(database, waiting)
        let findings = try await settings.withDatabase(statementTimeout: Settings.wholeTables) { connection in
            try await Audit(connection: connection).run(limit: limit) { step in
                switch step {
                case .began(let check, let number, let count):
                    Console.progress("\(number)/\(count) \(check.name)")
                case .finished(let finding):
                    Console.progress("")
                    if !json { Console.print(Self.text(finding)) }
                }
            }
        }
        let isSound = findings.allSatisfy { $0.breaches == 0 }
        if json { Console.printBytes(Self.json(findings, isSound: isSound) + [UInt8(ascii: "\n")]) }
        if !isSound { throw ExitCode(ExitStatus.refused.rawValue) }
    }

    private static func text(_ finding: AuditFinding) -> String {
        let name = finding.check.name.padded(to: 22)
        if finding.breaches == 0 { return "ok      \(name) \(finding.check.invariant)" }
        var lines = ["BROKEN  \(name) \(finding.check.invariant)"]
        for breach in finding.examples {
            let customer = breach.customerID.map { "customer \($0), " } ?? ""
            lines.append("          \(customer)\(finding.check.offender): \(breach.id)")
        }
        let others = finding.breaches - Int64(finding.examples.count)
        if others > 0 { lines.append("          and \(others) more") }
        return lines.joined(separator: "\n")
    }

    private static func json(_ findings: [AuditFinding], isSound: Bool) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("isSound", isSound)
            writer.member("checks", findings) { writer, finding in
                writer.object { writer in
                    writer.member("name", finding.check.name)
                    writer.member("invariant", finding.check.invariant)
                    writer.member("breaches", finding.breaches)
                    writer.member("offender", finding.check.offender)
                    writer.member("examples", finding.examples) { writer, breach in
                        writer.object { writer in
                            writer.member("customerId", ifPresent: breach.customerID?.description)
                            writer.member("id", breach.id)
                        }
                    }
                }
            }
        }
        return writer.bytes
    }
}
