// The operator's pages over real sockets.

import CoreMetrics
import Synchronization
import Testing

@testable import Operations

@Suite("The operator's pages", .timeLimit(.minutes(1)))
struct OperationsServerTests {
    /// An answer as it came over the connection.
    struct Answer {
        let status: Int
        /// By their names in lower case.
        let headers: [String: String]
        let body: String

        init(_ text: String) throws {
            let end = try #require(text.firstRange(of: "\r\n\r\n"))
            let lines = text[..<end.lowerBound].split(separator: "\r\n")
            let statusLine = try #require(lines.first?.wholeMatch(of: /HTTP\/1\.1 (\d{3}) .+/))
            status = try #require(Int(statusLine.1))
            let fields = try lines.dropFirst().map { line in
                let field = try #require(line.wholeMatch(of: /([^:]+): (.*)/))
                return (field.1.lowercased(), String(field.2))
            }
            headers = Dictionary(fields) { $0 + ", " + $1 }
            body = String(text[end.upperBound...])
        }
    }

    private static func ask(_ path: String, method: String = "GET", port: Int) async throws -> Answer {
        let connection = try RawConnection(port: port)
        try await connection.send("\(method) \(path) HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        let (text, ending) = try await connection.read()
        #expect(ending == .closed)
        return try Answer(text)
    }

    @Test("/healthz says 503 where nothing moves any more, however ready the worker was")
    func health() async throws {
        try await RunningServer.use(readiness: { Readiness(isReady: true, isAlive: false) }) { port, _ in
            let (health, readiness) = (
                try await Self.ask("/healthz", port: port), try await Self.ask("/readyz", port: port)
            )
            #expect(health.status == 503)
            #expect(readiness.status == 200)
        }
    }

    @Test("/healthz and /metrics answer, unknown pages don't exist, and the server ends when asked to")
    func pages() async throws {
        try await RunningServer.use { port, metrics in
            metrics.makeCounter(label: "c", dimensions: []).increment(by: 4)
            #expect(try await Self.ask("/healthz", port: port).status == 200)
            for target in ["/metrics", "/metrics?name=c"] {
                let page = try await Self.ask(target, port: port)
                #expect(page.status == 200)
                #expect(page.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
                #expect(page.headers["cache-control"] == "no-store")
                #expect(
                    page.body.hasPrefix(
                        "# TYPE c counter\nc 4\n# TYPE order_worker_ready gauge\norder_worker_ready 1\n"))
                #expect(page.body.contains("\n# TYPE process_cpu_seconds_total counter\n"))
            }
            for target in ["/other", "/", "/healthz/", "/metrics/../healthz", "*"] {
                #expect(try await Self.ask(target, port: port).status == 404)
            }
        }
    }

    @Test("HEAD has the headers of GET and no body", arguments: ["/healthz", "/readyz", "/metrics", "/other"])
    func head(path: String) async throws {
        try await RunningServer.use { port, metrics in
            metrics.makeCounter(label: "c", dimensions: []).increment(by: 4)
            let page = try await Self.ask(path, port: port)
            let head = try await Self.ask(path, method: "HEAD", port: port)
            #expect(!page.body.isEmpty)
            #expect(head.body.isEmpty)
            #expect(head.status == page.status)
            #expect(page.headers["content-length"] == "\(page.body.utf8.count)")
            // The process's own figures have changed meanwhile.
            let varies = { (headers: [String: String]) in
                path == "/metrics" ? headers.filter { $0.key != "content-length" } : headers
            }
            #expect(varies(head.headers) == varies(page.headers))
            #expect(head.headers["content-length"].flatMap { Int($0) }.map { $0 > 0 } == true)
        }
    }

    @Test("Other methods aren't allowed on the pages", arguments: ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
    func methods(method: String) async throws {
        try await RunningServer.use { port, _ in
            let answer = try await Self.ask("/healthz", method: method, port: port)
            #expect(answer.status == 405)
            #expect(answer.headers["allow"] == "GET, HEAD")
            #expect(try await Self.ask("/other", method: method, port: port).status == 404)
        }
    }

    @Test("/readyz is 503 with the reasons until everything is ready, and the probe reads both")
    func readiness() async throws {
        let state = Switch()
        try await RunningServer.use(readiness: { state.readiness }) { port, _ in
            let page = try await Self.ask("/readyz", port: port)
            #expect(page.status == 503)
            #expect(page.headers["content-type"] == "application/json")
            #expect(page.body == #"{"ready":false,"reasons":["lane-0 is \"connecting\" to a/b"]}"#)
            #expect(try await ReadinessProbe.ask(host: "0.0.0.0", port: port) == state.readiness)
            state.turnOn()
            #expect(try await Self.ask("/readyz", port: port).status == 200)
            #expect(try await ReadinessProbe.ask(host: "127.0.0.1", port: port) == Readiness(isReady: true))
        }
    }

    private final class Switch: Sendable {
        private let isOn = Atomic(false)
        func turnOn() { isOn.store(true, ordering: .relaxed) }
        var readiness: Readiness {
            isOn.load(ordering: .relaxed)
                ? Readiness(isReady: true) : Readiness(isReady: false, reasons: ["lane-0 is \"connecting\" to a/b"])
        }
    }

    @Test("A connection serves one request after the other, until one asks for its end")
    func keepAlive() async throws {
        try await RunningServer.use { port, _ in
            let connection = try RawConnection(port: port)
            for _ in 0..<3 {
                try await connection.send("GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
                let answer = try Answer(try await connection.read { $0.hasSuffix("ok\n") }.text)
                #expect(answer.headers["connection"] == nil)
            }
            try await connection.send("GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            let (text, ending) = try await connection.read()
            #expect(try Answer(text).headers["connection"] == "close")
            #expect(ending == .closed)
        }
    }

    @Test("A connection that is used stays for longer than one that isn't may")
    func longKeepAlive() async throws {
        var limits = ClientLimits()
        limits.patience = .seconds(3)
        try await RunningServer.use(limits: limits) { port, _ in
            let connection = try RawConnection(port: port)
            for _ in 0..<5 {
                try await connection.send("GET /healthz HTTP/1.1\r\n\r\n")
                #expect(try await connection.read { $0.hasSuffix("ok\n") }.ending == .stillOpen)
                try await Task.sleep(for: .seconds(1))
            }
        }
    }

    @Test(
        "A client that would speak another version or protocol is answered, and the connection ends",
        arguments: [
            "GET /healthz HTTP/1.0\r\n\r\n", "GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            "GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
        ])
    func otherProtocols(request: String) async throws {
        try await RunningServer.use { port, _ in
            let connection = try RawConnection(port: port)
            try await connection.send(request)
            let (text, ending) = try await connection.read()
            let answer = try Answer(text)
            #expect(answer.status == 200)
            #expect(answer.body == "ok\n")
            #expect(answer.headers["connection"] == "close")
            #expect(ending == .closed)
        }
    }

    @Test("A client that says at once that it has nothing more to ask gets its answer")
    func halfClosed() async throws {
        try await RunningServer.use { port, _ in
            let connection = try RawConnection(port: port)
            try await connection.send("GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
            connection.finishSending()
            #expect(try Answer(try await connection.read().text).status == 200)
        }
    }

    @Test("A port that is taken, and a host that is no address, are errors that say so")
    func unusable() async throws {
        try await RunningServer.use { port, metrics in
            let second = OperationsServer(port: port, metrics: metrics, logger: PortLog().logger) {
                Readiness(isReady: true)
            }
            let error = await #expect(throws: OperationsError.self) { try await second.run() }
            #expect(error?.code == .addressUnusable)
            #expect(error?.cause == "Address already in use")
        }
    }

    @Test(
        "An address that isn't one, or isn't this machine's, is an error",
        arguments: [
            ("example.org", 0, "'example.org' is no IP address"), ("", 0, "'' is no IP address"),
            ("127.0.0.1", 65536, "65536 is no port"), ("127.0.0.1", -1, "-1 is no port"),
            ("192.0.2.1", 0, "Cannot assign requested address"),
        ])
    func unusable(host: String, port: Int, cause: String) async throws {
        let server = OperationsServer(
            host: host, port: port, metrics: PrometheusMetrics(), logger: PortLog().logger
        ) { Readiness(isReady: true) }
        let error = await #expect(throws: OperationsError.self) { try await server.run() }
        #expect(error?.code == .addressUnusable)
        #expect(error?.cause == cause)
    }

    @Test("A port can be listened on again at once, though connections to it have just ended")
    func restart() async throws {
        let last = Mutex(0)
        try await RunningServer.use { port, _ in
            last.withLock { $0 = port }
            let connection = try RawConnection(port: port)
            try await connection.send("GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            #expect(try await connection.read().ending == .closed)
        }
        let port = last.withLock { $0 }
        let log = PortLog()
        let server = OperationsServer(port: port, metrics: PrometheusMetrics(), logger: log.logger) {
            Readiness(isReady: true)
        }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await server.run() }
            tasks.addTask {
                let served = try await log.value()
                #expect(served == port)
            }
            try await tasks.next()
            // Without a service group, a cancelled task ends it.
            tasks.cancelAll()
            try await tasks.waitForAll()
        }
    }
}
