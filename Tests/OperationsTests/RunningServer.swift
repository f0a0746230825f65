// A server of the operator's pages, for as long as a test needs it.

import Logging
import ServiceLifecycle
import Synchronization

@testable import Operations

enum RunningServer {
    /// - Returns: how long the server took to end after it was asked to.
    @discardableResult
    static func use(
        limits: ClientLimits = ClientLimits(),
        readiness: @escaping @Sendable () -> Readiness = { Readiness(isReady: true) },
        _ body: @Sendable (Int, PrometheusMetrics) async throws -> Void
    ) async throws -> Duration {
        let metrics = PrometheusMetrics()
        let log = PortLog()
        let server = OperationsServer(
            port: 0, limits: limits, metrics: metrics, logger: log.logger, readiness: readiness)
        let group = ServiceGroup(services: [server], logger: PortLog().logger)
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            try await body(try await log.value(), metrics)
            let start = ContinuousClock.now
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
            return ContinuousClock.now - start
        }
    }
}

/// Notes the port that the server says it serves on.
final class PortLog: Sendable {
    private let port = Mutex<Int?>(nil)

    private struct Handler: LogHandler {
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
