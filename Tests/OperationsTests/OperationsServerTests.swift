// The operator's pages over real sockets.

import CoreMetrics
import FlyingFox
import FlyingSocks
import Foundation
import Operations
import ServiceLifecycle
import Synchronization
import Testing

import struct Logging.LogEvent
import protocol Logging.LogHandler
import struct Logging.Logger

@Suite("The operator's pages", .timeLimit(.minutes(1)))
struct OperationsServerTests {
    /// Notes the port that the server says it serves on.
    private final class PortLog: Sendable {
        let port = Mutex<Int?>(nil)

        struct Handler: LogHandler {
            let log: PortLog
            var metadata: Logger.Metadata = [:]
            var logLevel = Logger.Level.info

            func log(event: LogEvent) {
                guard let address = event.metadata?["address"], let port = "\(address)".split(separator: ":").last
                else {
                    return
                }
                log.port.withLock { $0 = Int(port) }
            }

            subscript(metadataKey key: String) -> Logger.Metadata.Value? {
                get { metadata[key] }
                set { metadata[key] = newValue }
            }
        }

        var logger: Logger { Logger(label: "test") { _ in Handler(log: self) } }

        /// Waits for the server to say it.
        func value() async throws -> Int {
            for _ in 0..<500 {
                if let port = port.withLock({ $0 }) { return port }
                try await Task.sleep(for: .milliseconds(10))
            }
            throw OperationsError(code: .noAnswer, during: "waiting for the port", cause: "none was logged")
        }
    }

    private static func withServer(
        readiness: @escaping @Sendable () -> Readiness = { Readiness(isReady: true) },
        _ body: @Sendable (Int, PrometheusMetrics) async throws -> Void
    ) async throws {
        let metrics = PrometheusMetrics()
        let log = PortLog()
        let server = OperationsServer(port: 0, metrics: metrics, logger: log.logger, readiness: readiness)
        let group = ServiceGroup(services: [server], logger: PortLog().logger)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            try await body(try await log.value(), metrics)
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }

    private static func get(_ path: String, port: Int) async throws -> (status: Int, type: String?, text: String) {
        var client = HTTPClient()
        let request = HTTPRequest(
            method: .GET, version: .http11, path: path, query: [], headers: [.connection: "close"], body: Data())
        let response = try await client.sendHTTPRequest(
            request, to: sockaddr_in.inet(ip4: "127.0.0.1", port: UInt16(port)))
        let text = String(decoding: try await response.bodyData, as: UTF8.self)
        return (response.statusCode.code, response.headers[.contentType], text)
    }

    @Test("/healthz and /metrics answer, unknown pages don't exist, and the server ends when asked to")
    func pages() async throws {
        try await Self.withServer { port, metrics in
            metrics.makeCounter(label: "c", dimensions: []).increment(by: 4)
            #expect(try await Self.get("/healthz", port: port).status == 200)
            let page = try await Self.get("/metrics", port: port)
            #expect(page.status == 200)
            #expect(page.type == "text/plain; version=0.0.4; charset=utf-8")
            #expect(page.text == "# TYPE c counter\nc 4\n")
            #expect(try await Self.get("/other", port: port).status == 404)
        }
    }

    @Test("/readyz is 503 with the reasons until everything is ready, and the probe reads both")
    func readiness() async throws {
        let state = Switch()
        try await Self.withServer(readiness: { state.readiness }) { port, _ in
            let page = try await Self.get("/readyz", port: port)
            #expect(page.status == 503)
            #expect(page.text == #"{"ready":false,"reasons":["lane-0 is \"connecting\""]}"#)
            #expect(try await ReadinessProbe.ask(host: "0.0.0.0", port: port) == state.readiness)
            state.turnOn()
            #expect(try await Self.get("/readyz", port: port).status == 200)
            #expect(try await ReadinessProbe.ask(host: "127.0.0.1", port: port) == Readiness(isReady: true))
        }
    }

    private final class Switch: Sendable {
        private let isOn = Atomic(false)
        func turnOn() { isOn.store(true, ordering: .relaxed) }
        var readiness: Readiness {
            isOn.load(ordering: .relaxed)
                ? Readiness(isReady: true) : Readiness(isReady: false, reasons: ["lane-0 is \"connecting\""])
        }
    }

    @Test("A port that is taken, and a host that is no address, are errors that say so")
    func unusable() async throws {
        try await Self.withServer { port, metrics in
            let second = OperationsServer(port: port, metrics: metrics, logger: PortLog().logger) {
                Readiness(isReady: true)
            }
            let error = await #expect(throws: OperationsError.self) { try await second.run() }
            #expect(error?.code == .addressUnusable)
        }
        let nowhere = OperationsServer(
            host: "example.org", port: 0, metrics: PrometheusMetrics(), logger: PortLog().logger
        ) { Readiness(isReady: true) }
        await #expect(throws: OperationsError.self) { try await nowhere.run() }
    }

    @Test("The probe says when nobody answers")
    func nobody() async throws {
        let closed = Mutex(0)
        try await Self.withServer { port, _ in closed.withLock { $0 = port } }
        let error = await #expect(throws: OperationsError.self) {
            try await ReadinessProbe.ask(host: "127.0.0.1", port: closed.withLock { $0 })
        }
        #expect(error?.code == .noAnswer)
    }
}
