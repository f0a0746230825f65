// Mistakes of those who set it up, each as it was tried.

import Foundation
import Testing

@testable import order_worker

@Suite("Mistakes in the set-up", .timeLimit(.minutes(2)))
struct MistakeTests {
    @Test(
        "A misspelt subcommand is answered with what was meant",
        arguments: [
            (["rnu"], "'run'"), (["migarte", "--status"], "'migrate'"), (["deadletters", "lsit"], "'list'"),
            (["deadleters", "list"], "'deadletters'"), (["catalog", "aply", "x"], "'apply'"), (["Run"], "'run'"),
            (["help", "reprot"], "'report'"), (["topo"], "'topology'"), (["xyzzy"], "There are: run, migrate,"),
        ])
    func misspelt(arguments: [String], named: String) async throws {
        let ending = try await Program(arguments).ending()
        #expect(ending.status == 64)
        #expect(ending.errors.contains(named))
        #expect(ending.output.isEmpty)
    }

    @Test("The version is printed")
    func version() async throws {
        let ending = try await Program.run("--version")
        #expect(ending.status == 0)
        #expect(ending.output == "order-worker \(Version.text)\n")
    }

    @Test(
        "A byte order mark is named: in a password file, where it would become part of the password, and in every other",
        arguments: [
            (["topology", "check"], ["AMQP_URL": "amqp://a@127.0.0.1:1", "AMQP_PASSWORD_FILE": "FILE"], "secret", 78),
            (
                ["migrate"], ["DATABASE_URL": "postgresql://a@127.0.0.1:1/x", "DATABASE_PASSWORD_FILE": "FILE"],
                "secret", 78
            ),
            (["migrate"], ["DATABASE_URL_FILE": "FILE"], "postgresql://a:b@127.0.0.1:1/x", 78),
            (["run"], ["CONFIG_FILE": "FILE"], "{}", 78), (["publish", "--dry-run", "FILE"], [:], "[]", 2),
            (["catalog", "apply", "FILE"], ["DATABASE_URL": "postgresql://a@127.0.0.1:1/x"], "{}", 2),
            (["contract", "check", "customer.create", "FILE"], [:], "{}", 2),
        ] as [([String], [String: String], String, Int32)])
    func byteOrderMark(arguments: [String], environment: [String: String], text: String, status: Int32) async throws {
        for mark: [UInt8] in [[0xEF, 0xBB, 0xBF], [0xFF, 0xFE]] {
            let file = FileManager.default.temporaryDirectory.appendingPathComponent("bom-\(UUID().uuidString)").path
            #expect(FileManager.default.createFile(atPath: file, contents: Data(mark + text.utf8)))
            let named = { (text: String) in text.replacing("FILE", with: file) }
            let ending = try await Program(
                arguments.map { $0 == "FILE" ? file : $0 },
                environment: environment.mapValues { $0 == "FILE" ? file : $0 }
            ).ending()
            #expect(ending.status == status)
            #expect(ending.errors.contains(named("FILE begins with a byte order mark")))
            try FileManager.default.removeItem(atPath: file)
        }
    }

    @Test("A broker that isn't there refuses the connection, in those words")
    func refused() async throws {
        let ending = try await Program.run("topology", "check", environment: ["AMQP_URL": "amqp://a:b@127.0.0.1:1"])
        #expect(ending.status == 69)
        #expect(ending.errors.contains("connection refused"))
    }

    @Test(
        "The container's health check asks the worker that the container runs, whatever its --http-port or --config say"
    )
    func healthCheck() async throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("config-\(UUID().uuidString)").path
        let configuration = #"{"http": {"port": 0, "host": "127.0.0.3"}}"#
        #expect(FileManager.default.createFile(atPath: file, contents: Data(configuration.utf8)))
        let environment = ["AMQP_URL": "amqp://a:b@127.0.0.1:1", "DATABASE_URL": "postgresql://a:b@127.0.0.1:1/x"]
        for options in [["--http-port", "0"], ["--config", file]] {
            let worker = try Program(
                ["run"] + options, environment: environment,
                launcher: [
                    "/usr/bin/unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child",
                ])
            for _ in 0..<500 where !(try worker.errors.contains("lane begins anew")) {
                try await Task.sleep(for: .milliseconds(20))
            }
            let process = try await SignalTests.child(of: worker.identifier)
            let check = try await Program(
                ["doctor", "--ready"], environment: environment,
                launcher: [
                    "/usr/bin/nsenter", "--target", "\(process)", "--user", "--pid", "--mount",
                    "--preserve-credentials",
                ]
            ).ending()
            #expect(check.status == 1, "\(check.errors)")
            #expect(check.output.hasPrefix("not ready\n"))
            #expect(kill(process, SIGTERM) == 0)
            #expect(try await worker.ending().status == 0)
        }
    }

    @Test("A listening socket is found in the kernel's table by its number")
    func listening() {
        let table = """
              sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
               0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1
               1: 0300007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12 1
               2: 0300007F:1F92 00000000:0000 01 00000000:00000000 00:00000000 00000000     0        0 13 1
               3: 00000000:1F93 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 14 1
               4: 00000000000000000000000000000000:1F94 0:0 0A 0:0 0:0 0 0 0 15 1
            """
        let found = ["11", "12", "13", "14", "15"].map { RunningWorker.listening(table, among: [$0]) }
        #expect(
            found == [
                .init(host: "127.0.0.1", port: 8080), .init(host: "127.0.0.3", port: 8081), nil,
                .init(host: "127.0.0.1", port: 8083), .init(host: "::1", port: 8084),
            ])
    }
}
