// What the program shows and how it ends, without any server.

import Foundation
import Operations
import OrderContract
import Testing

@testable import order_worker

@Suite("The program", .timeLimit(.minutes(2)))
struct ProgramTests {
    @Test("Help names every exit status and every setting")
    func help() async throws {
        let root = try await Program.run("--help")
        #expect(root.status == 0)
        for status in [0, 1, 2, 64, 69, 78] { #expect(root.output.contains("\n  \(status) ")) }
        let run = try await Program.run("run", "--help")
        #expect(run.status == 0)
        for setting in Setting.allCases where setting != .wait {
            #expect(run.output.contains("--\(setting.optionName) "))
            #expect(run.output.replacing(/\s+/, with: " ").contains("[\(setting.environmentVariable)]"))
        }
    }

    /// A command that fails.
    struct Mistake: Sendable {
        let arguments: [String]
        let environment: [String: String]
        let status: Int32
        /// What the error must name.
        let named: String

        init(_ arguments: String, ends status: Int32, naming named: String, with environment: [String: String] = [:]) {
            self.arguments = arguments.split(separator: " ").map(String.init)
            self.environment = environment
            self.status = status
            self.named = named
        }

        static let all: [Mistake] = [
            Mistake("nonsense", ends: 64, naming: "nonsense"),
            Mistake("publish", ends: 64, naming: "file"),
            Mistake("publish - --timeout 3", ends: 64, naming: "--timeout"),
            Mistake("contract schema nonsense", ends: 64, naming: "nonsense"),
            Mistake("run", ends: 78, naming: "AMQP_URL"),
            Mistake("run --lanes none", ends: 78, naming: "--lanes"),
            Mistake("migrate", ends: 78, naming: "DATABASE_URL", with: ["DATABASE_URL": "mysql://x"]),
            Mistake("migrate", ends: 78, naming: "/nonexistent", with: ["CONFIG_FILE": "/nonexistent"]),
            Mistake("topology check", ends: 78, naming: "AMQP_URL", with: ["AMQP_URL": "http://x"]),
            Mistake(
                "topology check", ends: 69, naming: "127.0.0.1:1", with: ["AMQP_URL": "amqp://a:s3cret@127.0.0.1:1"]),
            Mistake(
                "migrate", ends: 69, naming: "127.0.0.1", with: ["DATABASE_URL": "postgresql://a:s3cret@127.0.0.1:1/x"]),
            Mistake("doctor --ready", ends: 69, naming: "readyz", with: ["HTTP_PORT": "1"]),
        ]
    }

    @Test(
        "A mistake on the command line ends with 64, a bad setting with 78, what can't be reached with 69",
        arguments: Mistake.all)
    func statuses(mistake: Mistake) async throws {
        let ending = try await Program(mistake.arguments, environment: mistake.environment).ending()
        #expect(ending.status == mistake.status)
        #expect(ending.errors.contains(mistake.named))
        #expect(!(ending.errors + ending.output).contains("s3cret"))
    }

    @Test(
        "A raw / or @ in a URL's password ends `run` with 78 and the word percent-encode, and is shown nowhere",
        arguments: [
            ["DATABASE_URL": "postgresql://me:s3cr/et7@127.0.0.1:1/x"],
            ["DATABASE_URL": "postgresql://me:s3cr@et7@127.0.0.1:1/x"],
            ["DATABASE_URL": "postgresql://me:1/s3cr@127.0.0.1:1/x"], ["AMQP_URL": "amqp://me:s3cr/et7@127.0.0.1:1"],
            ["AMQP_URL": "amqp://me:s3cr@et7@127.0.0.1:1"], ["AMQP_URL": "amqp://me:1/s3cr@127.0.0.1:1"],
        ])
    func rawPassword(changed: [String: String]) async throws {
        let sound = ["AMQP_URL": "amqp://a:b@127.0.0.1:1", "DATABASE_URL": "postgresql://a:b@127.0.0.1:1/x"]
        let ending = try await Program(
            ["run", "--http-port", "0"], environment: sound.merging(changed) { $1 }
        ).ending()
        #expect(ending.status == 78)
        #expect(ending.errors.contains("percent-encode"))
        for piece in ["s3cr", "et7", "me:"] { #expect(!(ending.errors + ending.output).contains(piece)) }
    }

    @Test("A URL that lands where it doesn't belong on the command line is shown without its password")
    func misplacedURL() async throws {
        let ending = try await Program.run("run", "amqp://me:s3cr/e@t7@127.0.0.1:1/x")
        #expect(ending.status == 64)
        #expect(!ending.errors.contains("s3cr") && !ending.errors.contains("t7"))
    }

    @Test("The effective settings are printed with where they come from, and without secrets")
    func printConfig() async throws {
        let ending = try await Program.run(
            "run", "--print-config", "--lanes", "3",
            environment: ["AMQP_URL": "amqp://a:s3cret@h", "DRAIN_TIMEOUT": "7s"])
        #expect(ending.status == 0)
        let lines = ending.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        #expect(lines.contains(["lanes", "3", "command", "line"]))
        #expect(lines.contains(["drain.timeout", "7s", "environment"]))
        #expect(lines.contains(["amqp.url", "(hidden)", "environment"]))
        #expect(lines.contains(["batch.limit", "500", "default"]))
        #expect(!ending.output.contains("s3cret"))
    }

    @Test("A worker without broker and database is alive but not ready, and ends with 0 on SIGTERM")
    func run() async throws {
        let worker = try Program(
            ["run", "--http-port", "0"],
            environment: [
                "AMQP_URL": "amqp://a:s3cret@127.0.0.1:1", "DATABASE_URL": "postgresql://a:s3cret@127.0.0.1:1/x",
            ])
        var port: Int?
        for _ in 0..<500 where port == nil {
            try await Task.sleep(for: .milliseconds(20))
            port = try worker.errors.firstMatch(of: /"address":"127\.0\.0\.1:(\d+)"/).flatMap { Int($0.1) }
        }
        var answer = Readiness(isReady: true)
        for _ in 0..<500 where !answer.reasons.contains(where: { $0.contains("127.0.0.1:1") }) {
            try await Task.sleep(for: .milliseconds(20))
            answer = try await ReadinessProbe.ask(host: "127.0.0.1", port: try #require(port))
        }
        #expect(!answer.isReady)
        #expect(!answer.reasons.joined().contains("s3cret"))
        worker.terminate()
        let ending = try await worker.ending()
        #expect(ending.status == 0)
        #expect(!ending.errors.contains("s3cret"))
        for line in ending.errors.split(separator: "\n") {
            #expect(try JSONDocument(Array(line.utf8)).root["level"] != nil)
        }
    }

    @Test("A port that is taken ends the worker with 78")
    func portTaken() async throws {
        let environment = ["AMQP_URL": "amqp://127.0.0.1:1", "DATABASE_URL": "postgresql://127.0.0.1:1/x"]
        let first = try Program(["run", "--http-port", "0"], environment: environment)
        var port: String?
        for _ in 0..<500 where port == nil {
            try await Task.sleep(for: .milliseconds(20))
            port = try first.errors.firstMatch(of: /"address":"127\.0\.0\.1:(\d+)"/).map { String($0.1) }
        }
        let second = try await Program(["run", "--http-port", try #require(port)], environment: environment).ending()
        #expect(second.status == 78)
        #expect(second.errors.contains("Address already in use"))
        first.terminate()
        #expect(try await first.ending().status == 0)
    }

    @Test(
        "A dry run holds commands against the contract",
        arguments: [
            (
                #"{"type":"auto-renewal.set","data":{"customerId":"\#(id)","subscriptionId":"\#(id)","autoRenewal":true}}"#,
                0
            ),
            (#"{"type":"auto-renewal.set","data":{"customerId":"\#(id)","autoRenewal":1}}"#, 1),
            (#"{"type":"nonsense","data":{"customerId":"\#(id)"}}"#, 1), ("[]", 1), ("{", 1),
        ] as [(String, Int32)])
    func dryRun(input: String, status: Int32) async throws {
        let ending = try await Program.run("publish", "--dry-run", "-", input: input)
        #expect(ending.status == status)
        #expect(!(ending.output + ending.errors).isEmpty)
    }

    private static let id = "018f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b10"

    @Test("The contract is printed as JSON documents, and data are held against it")
    func contract() async throws {
        let names = try await Program.run("contract", "schema").output.split(separator: "\n").map(String.init)
        #expect(names.contains("command.subscription.order") && names.contains("event.invoice.updated"))
        let documents = [["contract", "asyncapi"], ["contract", "schema", "subscription.order"]]
        for arguments in documents {
            let output = try await Program(arguments).ending().output
            #expect(try JSONDocument(Array(output.utf8)).root.isObject)
        }
        let codes = try await Program.run("contract", "codes").output
        #expect(codes.contains("customer_unknown"))
        let valid = #"{"customerId":"\#(Self.id)","subscriptionId":"\#(Self.id)","autoRenewal":true}"#
        #expect(try await Program.run("contract", "check", "auto-renewal.set", "-", input: valid).status == 0)
        #expect(try await Program.run("contract", "check", "auto-renewal.set", "-", input: "{}").status == 1)
    }
}
