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
            Reads one snapshot and changes nothing but to note when it ran and what it found: workers may go on meanwhile. \
            Exit status 1 if anything breaks an \
            invariant. With --json it prints one object: isSound, and checks with name, invariant, breaches (how many \
            there are), offender (what one is called) and examples (customerId, id).

            With --replay the commands that are kept in the inbox are decided again as well, customer by customer from the \
            first command on, and each difference to what is stored is named. A customer whose creation is no longer kept is \
            passed over. What depended on a partner's settings that were changed since is a difference too. What was decided \
            by an earlier release, before the schema was migrated to this one's rules, and what may follow from that, is \
            counted apart and breaks nothing: this one would decide it otherwise. With --json the object has a member replay: \
            customers, skipped, commands, differences (how many there are), earlierDifferences (how many are an earlier \
            release's), rulesSince (when its time ended) and examples (customerId, difference, earlierRelease).
            """)

    @Flag(help: "Print one JSON object.") var json = false
    @Flag(help: "Also decide the kept commands again and name each difference to what is stored.") var replay = false
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
        let (findings, replayed) = try await settings.withDatabase(statementTimeout: Settings.wholeTables) {
            connection in
            let findings = try await Audit(connection: connection).run(limit: limit) { step in
                switch step {
                case .began(let check, let number, let count):
                    Console.progress("\(number)/\(count) \(check.name)")
                case .finished(let finding):
                    Console.progress("")
                    if !json { Console.print(Self.text(finding)) }
                }
            }
            await Self.note(findings, on: connection)
            guard replay else { return (findings, nil as ReplayResult?) }
            let replayed = try await Replay(connection: connection).run(limit: limit) { customers in
                Console.progress("replaying, \(customers) customers")
            }
            Console.progress("")
            if !json { Console.print(Self.text(replayed)) }
            return (findings, replayed)
        }
        let isSound = findings.allSatisfy { $0.breaches == 0 } && replayed?.differenceCount ?? 0 == 0
        if json { Console.printBytes(Self.json(findings, replayed, isSound: isSound) + [UInt8(ascii: "\n")]) }
        if !isSound { throw ExitCode(ExitStatus.refused.rawValue) }
    }

    /// For those who watch from outside. Who may only read can audit all the same.
    private static func note(_ findings: [AuditFinding], on connection: Connection) async {
        do {
            try await AuditRecord.add(findings, on: connection)
        } catch {
            Logger(label: "audit").warning(
                "the result isn't noted for metrics and doctor", metadata: ["error": "\(error)"])
        }
    }

    private static func text(_ replayed: ReplayResult) -> String {
        let extent = "\(replayed.commands) commands of \(replayed.customers) customers decided again"
        let skipped = replayed.skipped == 0 ? "" : "; \(replayed.skipped) customers began before what is kept"
        let name = "replay".padded(to: 22)
        let earlier =
            replayed.earlierCount == 0
            ? ""
            : "; \(replayed.earlierCount) differences of what an earlier release decided"
                + (replayed.rulesSince.map { " before \($0)" } ?? "")
        let own = replayed.differenceCount == 0 ? "no difference" : "\(replayed.differenceCount) differences"
        let state = replayed.differenceCount == 0 ? "ok    " : "BROKEN"
        var lines = ["\(state)  \(name) \(extent): \(own)\(earlier)\(skipped)."]
        lines += replayed.differences.map { difference in
            let whose = difference.isOfEarlierRelease ? " (an earlier release's)" : ""
            return "          customer \(difference.customerID): \(difference.description)\(whose)"
        }
        let others = replayed.differenceCount + replayed.earlierCount - replayed.differences.count
        if others > 0 { lines.append("          and \(others) more") }
        return lines.joined(separator: "\n")
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

    private static func json(_ findings: [AuditFinding], _ replayed: ReplayResult?, isSound: Bool) -> [UInt8] {
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
            if let replayed {
                writer.member("replay") { writer in
                    writer.member("customers", Int64(replayed.customers))
                    writer.member("skipped", Int64(replayed.skipped))
                    writer.member("commands", Int64(replayed.commands))
                    writer.member("differences", Int64(replayed.differenceCount))
                    writer.member("earlierDifferences", Int64(replayed.earlierCount))
                    writer.member("rulesSince", ifPresent: replayed.rulesSince?.description)
                    writer.member("examples", replayed.differences) { writer, difference in
                        writer.object { writer in
                            writer.member("customerId", difference.customerID.description)
                            writer.member("difference", difference.description)
                            writer.member("earlierRelease", difference.isOfEarlierRelease)
                        }
                    }
                }
            }
        }
        return writer.bytes
    }
}
