// What clients that mean no good, or are broken, can't do to the operator's pages.

import CoreMetrics
import Foundation
import Synchronization
import Testing

@testable import Operations

@Suite("Clients that aren't well-behaved", .timeLimit(.minutes(1)))
struct HostileClientTests {
    private static let request = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"

    /// Whether the server still answers others.
    private static func expectService(port: Int) async throws {
        #expect(try await ReadinessProbe.ask(host: "127.0.0.1", port: port) == Readiness(isReady: true))
    }

    /// Makes `/metrics` larger than what the system keeps for a connection.
    private static func enlargePage(_ metrics: PrometheusMetrics) {
        metrics.makeCounter(label: String(repeating: "c", count: 1_500_000), dimensions: []).increment(by: 1)
    }

    @Test(
        "What isn't HTTP is answered with 400, and the connection ends",
        arguments: [
            "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}", "garbage\r\n\r\n", "GET\r\n\r\n", "get /healthz HTTP/1.1\r\n\r\n",
            "GET /healthz HTTP/2.0\r\n\r\n", "GET /healthz HTTP/1.1\r\n: nameless\r\n\r\n",
            "GET /healthz HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            "GET /healthz HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            "GET /healthz HTTP/1.1\r\nA\0: b\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ])
    func garbage(bytes: String) async throws {
        try await RunningServer.use { port, _ in
            let connection = try RawConnection(port: port)
            try await connection.send(bytes)
            let (text, ending) = try await connection.read()
            #expect(text.hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
            #expect(ending != .stillOpen)
            try await Self.expectService(port: port)
        }
    }

    @Test(
        "Headers and paths that are too large end the connection, unanswered by a page",
        arguments: [
            "GET /healthz?\(String(repeating: "x", count: 20_000)) HTTP/1.1\r\n\r\n",
            "GET /healthz HTTP/1.1\r\nA: \(String(repeating: "x", count: 20_000))\r\n\r\n",
            "GET /healthz HTTP/1.1\r\n\(String(repeating: "x", count: 20_000)): a\r\n\r\n",
            "GET /healthz HTTP/1.1\r\n\(String(repeating: "abcdefgh: ijklmnop\r\n", count: 2000))\r\n",
            "GET /healthz HTTP/1.1\r\n\(String(repeating: "a:\r\n", count: 300))\r\n",
        ])
    func oversizedHeaders(request: String) async throws {
        try await RunningServer.use { port, _ in
            let connection = try RawConnection(port: port)
            try await connection.send(request)
            let (text, ending) = try await connection.read()
            #expect(!text.hasPrefix("HTTP/1.1 200"))
            #expect(ending != .stillOpen)
            try await Self.expectService(port: port)
        }
    }

    @Test("A body is ignored up to its bound, and what follows is the next request")
    func body() async throws {
        try await RunningServer.use { port, _ in
            let connection = try RawConnection(port: port)
            let body = String(repeating: "x", count: 60_000)
            try await connection.send("POST /healthz HTTP/1.1\r\nContent-Length: 60000\r\n\r\n\(body)\(Self.request)")
            let text = try await connection.read { $0.hasSuffix("ok\n") }.text
            #expect(text.hasPrefix("HTTP/1.1 405 Method Not Allowed\r\n"))
            #expect(text.hasSuffix("\r\n\r\nok\n"))
        }
    }

    @Test("A body that is too large, or that the client asks to be let send, isn't read")
    func largeBody() async throws {
        var limits = ClientLimits()
        limits.bodySize = 100
        try await RunningServer.use(limits: limits) { port, _ in
            let large = try RawConnection(port: port)
            try await large.send(
                "POST /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n\(String(repeating: "x", count: 101))"
            )
            let (text, ending) = try await large.read()
            #expect(text.hasPrefix("HTTP/1.1 413 Payload Too Large\r\n"))
            #expect(ending == .closed)
            let polite = try RawConnection(port: port)
            try await polite.send(
                "POST /healthz HTTP/1.1\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")
            let (answer, _) = try await polite.read()
            #expect(answer.hasPrefix("HTTP/1.1 405 Method Not Allowed\r\n"))
        }
    }

    @Test(
        "A connection ends when no request was complete in time, however busy its client is",
        arguments: [
            "", "GET /", "GET /healthz HTTP/1.1\r\nA: ", "POST /healthz HTTP/1.1\r\nContent-Length: 9000\r\n\r\n",
            request,
        ])
    func slowRequest(start: String) async throws {
        var limits = ClientLimits()
        limits.patience = .milliseconds(500)
        let clock = ContinuousClock()
        try await RunningServer.use(limits: limits) { port, _ in
            let begin = clock.now
            let connection = try RawConnection(port: port)
            try await connection.send(start)
            var ending = RawConnection.Ending.stillOpen
            while ending == .stillOpen && clock.now - begin < .seconds(10) {
                ending = try await connection.read(for: .milliseconds(50)).ending
                // A client without a request to complete begins none.
                if !start.isEmpty && start != Self.request { try await connection.send("x") }
            }
            #expect(ending != .stillOpen)
            #expect(clock.now - begin >= .milliseconds(500))
            #expect(clock.now - begin < .seconds(10))
        }
    }

    @Test("Requests sent at once are answered in their order, each once")
    func pipelining() async throws {
        try await RunningServer.use { port, metrics in
            Self.enlargePage(metrics)
            let requests = ["GET /healthz HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"]
            let single = try RawConnection(port: port)
            var answers = ""
            for (request, end) in zip(requests, ["ok\n", "Not Found\n"]) {
                try await single.send(request)
                answers += try await single.read { $0.hasSuffix(end) }.text
            }
            let connection = try RawConnection(port: port)
            let small = String(repeating: requests.joined(), count: 5000)
            let large = String(repeating: "GET /metrics HTTP/1.1\r\n\r\n", count: 4)
            async let isSent = connection.send(
                small + large + small + "GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
            // Nothing is read for a while, so that the server has to wait with a large answer and has requests in store.
            try await Task.sleep(for: .milliseconds(500))
            let (text, ending) = try await connection.read()
            let wasSent = try await isSent
            #expect(wasSent)
            let end = try #require(text.range(of: "HTTP/1.1 404 Not Found\r\n", options: .backwards))
            #expect(text.hasPrefix(String(repeating: answers, count: 5000)))
            #expect(text[..<end.lowerBound].hasSuffix(String(repeating: answers, count: 5000)))
            #expect(text.contains("cc 1\n"))
            #expect(text[end.lowerBound...].contains("Connection: close\r\n"))
            #expect(ending == .closed)
        }
    }

    @Test("A client that asks and doesn't read is held back, and loses its connection")
    func unreadAnswers() async throws {
        var limits = ClientLimits()
        limits.patience = .seconds(1)
        try await RunningServer.use(limits: limits) { port, metrics in
            Self.enlargePage(metrics)
            let size = metrics.rendered().utf8.count
            let connection = try RawConnection(port: port)
            let count = 100
            try await connection.send(String(repeating: "GET /metrics HTTP/1.1\r\n\r\n", count: count))
            try await Self.expectService(port: port)
            try await Task.sleep(for: .seconds(2))
            let (text, ending) = try await connection.read()
            #expect(text.utf8.count < size * count / 10)
            #expect(ending != .stillOpen)
            try await Self.expectService(port: port)
        }
    }

    @Test("One connection too many ends the oldest, and is served itself")
    func manyConnections() async throws {
        var limits = ClientLimits()
        limits.connections = 20
        try await RunningServer.use(limits: limits) { port, _ in
            var connections: [RawConnection] = []
            for _ in 0..<50 {
                connections.append(try RawConnection(port: port))
                try await connections[connections.count - 1].send(Self.request)
                let text = try await connections[connections.count - 1].read { $0.hasSuffix("ok\n") }.text
                #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n"))
            }
            for connection in connections[..<30] {
                #expect(try await connection.read().ending == .closed)
            }
            for connection in connections[30...] {
                try await connection.send(Self.request)
                #expect(try await connection.read { $0.hasSuffix("ok\n") }.text.hasPrefix("HTTP/1.1 200 OK\r\n"))
            }
            // Places are free again once clients have left.
            connections = [connections[30]]
            try await Task.sleep(for: .milliseconds(300))
            try await Self.expectService(port: port)
            try await connections[0].send(Self.request)
            #expect(try await connections[0].read { $0.hasSuffix("ok\n") }.text.hasPrefix("HTTP/1.1 200 OK\r\n"))
        }
    }

    /// What clients send, rightly or not; in any order.
    private static let fragments = [
        "GET /healthz HTTP/1.1\r\n\r\n", "HEAD /metrics HTTP/1.1\r\nHost: h\r\n\r\n", "GET /readyz HTTP/1.1\r\n",
        "POST /healthz HTTP/1.1\r\nContent-Length: 5\r\n\r\n", "hello", "hel",
        "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n", "0\r\n\r\n", "0\r\nA: b\r\n\r\n",
        "Connection: close\r\n", "Expect: 100-continue\r\n", "Upgrade: h2c\r\nConnection: upgrade\r\n", "A: b\r\n",
        "\r\n",
        "CONNECT h:1 HTTP/1.1\r\n\r\n", "GET / HTTP/1.0\r\n\r\n", "\0", "\u{ff}\u{fe}", "\r", "\n", " ",
        "HTTP/1.1 200 OK\r\n\r\n", String(repeating: "x", count: 70_000), "FFFFFFFFFFFFFFFFF\r\n", "-1\r\n",
    ]

    @Test("Whatever clients send, in whatever pieces, the server serves on", arguments: 0..<4 as Range<UInt64>)
    func anything(seed: UInt64) async throws {
        var limits = ClientLimits()
        limits.bodySize = 1000
        try await RunningServer.use(limits: limits) { port, _ in
            var random = SplitMix(state: seed)
            for _ in 0..<150 {
                let connection = try RawConnection(port: port)
                for _ in 0..<Int.random(in: 1...6, using: &random) {
                    let pieces = (0..<Int.random(in: 1...4, using: &random)).map { _ in
                        Self.fragments.randomElement(using: &random) ?? ""
                    }
                    if try await !connection.send(pieces.joined()) { break }
                    if Bool.random(using: &random) { _ = try await connection.read(for: .milliseconds(1)) }
                }
                if Bool.random(using: &random) { connection.finishSending() }
            }
            try await Self.expectService(port: port)
        }
    }

    /// Random numbers that a seed repeats.
    private struct SplitMix: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }

    @Test("Clients that connect, ask and leave at the same time all get their answers")
    func manyClients() async throws {
        try await RunningServer.use { port, metrics in
            metrics.makeCounter(label: "c", dimensions: []).increment(by: 4)
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for _ in 0..<8 {
                    tasks.addTask {
                        for _ in 0..<50 {
                            let connection = try RawConnection(port: port)
                            try await connection.send("GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n")
                            let (text, ending) = try await connection.read()
                            #expect(
                                text.contains("\r\n\r\n# TYPE c counter\nc 4\n") && text.contains("\nprocess_threads "))
                            #expect(ending == .closed)
                        }
                    }
                }
                try await tasks.waitForAll()
            }
        }
    }

    @Test("No client holds up the server's end: neither an idle one, nor one in the middle, nor one that doesn't read")
    func promptEnd() async throws {
        let kept = Mutex<[RawConnection]>([])
        let duration = try await RunningServer.use { port, metrics in
            Self.enlargePage(metrics)
            let unread = String(repeating: "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n", count: 100)
            let starts = ["", Self.request, "GET /hea", "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n", unread]
            for start in starts {
                let connection = try RawConnection(port: port)
                try await connection.send(start)
                kept.withLock { $0.append(connection) }
            }
            try await Self.expectService(port: port)
        }
        #expect(duration < .seconds(1))
        #expect(kept.withLock { $0.count } == 5)
    }
}
