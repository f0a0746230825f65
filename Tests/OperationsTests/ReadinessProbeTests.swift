// The probe that a container's health check is.

import Operations
import Synchronization
import Testing

@Suite("The readiness probe", .timeLimit(.minutes(1)))
struct ReadinessProbeTests {
    @Test("It says when nobody answers")
    func nobody() async throws {
        let closed = Mutex(0)
        try await RunningServer.use { port, _ in closed.withLock { $0 = port } }
        let error = await #expect(throws: OperationsError.self) {
            try await ReadinessProbe.ask(host: "127.0.0.1", port: closed.withLock { $0 })
        }
        #expect(error?.code == .noAnswer)
        #expect(error?.cause == "Connection refused")
    }

    @Test("It gets its answer each time, however early the server has left")
    func often() async throws {
        try await RunningServer.use { port, _ in
            for _ in 0..<300 {
                let readiness = try await ReadinessProbe.ask(host: "127.0.0.1", port: port)
                #expect(readiness.isReady)
            }
        }
    }

    @Test("It doesn't wait longer than its time limit for an answer that doesn't come")
    func silence() async throws {
        let listener = try SilentListener()
        let start = ContinuousClock.now
        let error = await #expect(throws: OperationsError.self) {
            try await ReadinessProbe.ask(host: "127.0.0.1", port: listener.port, timeout: .milliseconds(300))
        }
        #expect(error?.code == .noAnswer)
        #expect(error?.cause == "no answer within 0.3 seconds")
        #expect(ContinuousClock.now - start < .seconds(5))
    }

    @Test(
        "What isn't a worker's answer is an error, not a readiness",
        arguments: [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "the answer, with status 200, isn't a worker's"),
            ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "the answer, with status 404, isn't a worker's"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n{\"ready\":true", nil), ("", nil), ("SSH-2.0\r\n", nil),
        ])
    func strangers(answer: String, cause: String?) async throws {
        let listener = try SilentListener()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                let connection = try await RawConnection.accepted(by: listener.descriptor)
                _ = try await connection.read { $0.hasSuffix("\r\n\r\n") }
                try await connection.send(answer)
            }
            let error = await #expect(throws: OperationsError.self) {
                try await ReadinessProbe.ask(host: "127.0.0.1", port: listener.port)
            }
            #expect(error?.code == .noAnswer)
            if let cause { #expect(error?.cause == cause) }
            try await tasks.waitForAll()
        }
    }
}
