// How the program ends on signals, as an ordinary process and as process 1.

import Foundation
import Testing

@Suite("Signals", .timeLimit(.minutes(2)), .serialized)
struct SignalTests {
    /// A listener that takes connections and never says a word.
    private func withSilentServer(_ body: (Int) async throws -> Void) async throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let port =
            withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                    bind(descriptor, address, size) == 0 && listen(descriptor, 64) == 0
                        && getsockname(descriptor, address, &size) == 0
                }
            } ? Int(UInt16(bigEndian: address.sin_port)) : 0
        try #require(port > 0)
        try await body(port)
    }

    private static func environment(_ port: Int) -> [String: String] {
        [
            "AMQP_URL": "amqp://a:b@127.0.0.1:\(port)", "DATABASE_URL": "postgresql://a:b@127.0.0.1:\(port)/x",
            "WAIT": "60s", "LOG_LEVEL": "debug",
        ]
    }

    private static let oneShots = [
        "migrate", "topology apply", "topology check", "catalog apply -", "publish -", "listen", "deadletters list",
        "outbox", "report invoices", "audit", "doctor",
    ]

    private static let input =
        #"{"type":"auto-renewal.set","data":{"customerId":"018f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b10"}}"#

    @Test(
        "A one-shot that waits for a silent server, or for one that isn't there, ends on SIGINT and SIGTERM",
        arguments: oneShots, [true, false])
    func oneShot(arguments: String, isSilent: Bool) async throws {
        try await withSilentServer { port in
            // Port 1 refuses, so that --wait is at work.
            let program = try Program(
                arguments.split(separator: " ").map(String.init), environment: Self.environment(isSilent ? port : 1),
                input: arguments.hasPrefix("catalog") ? #"{"partners":[],"products":[],"prices":[]}"# : Self.input)
            try await Task.sleep(for: .milliseconds(400))
            let asked = ContinuousClock.now
            if isSilent { program.terminate() } else { program.interrupt() }
            let ending = try await program.ending()
            #expect(ending.status == 128 + (isSilent ? 15 : 2), "\(ending.errors)")
            #expect(asked.duration(to: .now) < .seconds(2))
        }
    }

    @Test(
        "As process 1, where the kernel ends nothing by itself, a one-shot ends on SIGINT and SIGTERM",
        arguments: ["migrate", "listen", "publish -"], [SIGINT, SIGTERM])
    func processOne(arguments: String, number: Int32) async throws {
        try await withSilentServer { port in
            let program = try Program(
                arguments.split(separator: " ").map(String.init), environment: Self.environment(port),
                input: Self.input,
                launcher: ["/usr/bin/unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"])
            let child = try await Self.child(of: program.identifier)
            try await Task.sleep(for: .milliseconds(400))
            #expect(kill(child, number) == 0)
            let asked = ContinuousClock.now
            let ending = try await program.ending()
            #expect(ending.status == 128 + number, "\(ending.errors)")
            #expect(asked.duration(to: .now) < .seconds(2))
        }
    }

    /// The process that another has started.
    static func child(of parent: Int32) async throws -> Int32 {
        for _ in 0..<500 {
            let text = try? String(contentsOfFile: "/proc/\(parent)/task/\(parent)/children", encoding: .utf8)
            if let child = text?.split(separator: " ").first.flatMap({ Int32($0) }) { return child }
            for folder in try FileManager.default.contentsOfDirectory(atPath: "/proc") {
                guard let process = Int32(folder),
                    let status = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
                else { continue }
                if status.contains("\nPPid:\t\(parent)\n") { return process }
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw POSIXError(.ESRCH)
    }

    @Test("SIGTERM during a connect to a silent server ends the worker at once, with status 0", arguments: [1, 2])
    func connecting(lanes: Int) async throws {
        try await withSilentServer { port in
            let worker = try Program(
                ["run", "--http-port", "0", "--lanes", "\(lanes)"], environment: Self.environment(port))
            for _ in 0..<500 where !(try worker.errors.contains("\"address\"")) {
                try await Task.sleep(for: .milliseconds(20))
            }
            try await Task.sleep(for: .milliseconds(500))
            let asked = ContinuousClock.now
            worker.terminate()
            let ending = try await worker.ending()
            #expect(ending.status == 0)
            #expect(asked.duration(to: .now) < .seconds(2))
        }
    }

    @Test("Two signals within a millisecond are one: the worker still stops in order, with status 0")
    func twoSignalsAtOnce() async throws {
        let worker = try Program(["run", "--http-port", "0"], environment: Self.environment(1))
        for _ in 0..<500 where !(try worker.errors.contains("lane begins anew")) {
            try await Task.sleep(for: .milliseconds(20))
        }
        worker.terminate()
        worker.interrupt()
        let ending = try await worker.ending()
        #expect(ending.status == 0)
        #expect(!ending.errors.contains("second signal"))
    }
}
