// Sends spans to a collector: OTLP over HTTP, in JSON.

public import Logging
public import ServiceLifecycle

/// Where spans go, and as whose.
public struct SpanDestination: Sendable, Hashable {
    public var host: String
    public var port: Int
    /// Such as `/v1/traces`.
    public var path: String
    /// Headers of each request.
    public var headers: [String: String]
    /// What is said of this process, `service.name` above all.
    public var resource: [String: String]
    /// Of the program.
    public var version: String

    public init(
        host: String, port: Int, path: String, headers: [String: String] = [:], resource: [String: String],
        version: String
    ) {
        self.host = host
        self.port = port
        self.path = path
        self.headers = headers
        self.resource = resource
        self.version = version
    }
}

/// Sends what a tracer has kept, every few seconds, and the rest at the end. A collector that isn't there costs spans and
/// nothing else.
public struct SpanExporter: Service {
    /// How many spans go in one request.
    private static let batch = 512

    private let tracer: SpanTracer
    private let destination: SpanDestination
    private let interval: Duration
    private let logger: Logger

    /// - Parameter interval: how often.
    public init(
        _ tracer: SpanTracer, to destination: SpanDestination, every interval: Duration = .seconds(2), logger: Logger
    ) {
        self.tracer = tracer
        self.destination = destination
        self.interval = interval
        self.logger = logger
    }

    public func run() async throws {
        let isReached = await cancelWhenGracefulShutdown {
            var isReached = true
            while (try? await Task.sleep(for: interval)) != nil { isReached = await send(isReached) }
            return isReached
        }
        _ = await send(isReached)
    }

    /// Sends all that waits. What can't be sent is lost, and said once.
    ///
    /// - Parameter wasReached: whether the collector was reached last.
    /// - Returns: whether it was reached now.
    private func send(_ wasReached: Bool) async -> Bool {
        var isReached = wasReached
        while true {
            let (spans, dropped) = tracer.take(Self.batch)
            if dropped > 0 { logger.warning("spans dropped", metadata: ["count": "\(dropped)"]) }
            if spans.isEmpty { return isReached }
            do {
                let document = SpanDocument(spans, resource: destination.resource, version: destination.version)
                let answer = try await HTTPQuestion.post(
                    host: destination.host, port: destination.port, path: destination.path,
                    headers: destination.headers.merging(["Content-Type": "application/json"]) { $1 },
                    body: try document.bytes())
                guard (200..<300).contains(answer.status) else {
                    throw OperationsError(
                        code: .noAnswer, during: "sending spans", cause: "the collector answers \(answer.status)")
                }
                if !isReached { logger.notice("spans are sent again") }
                isReached = true
            } catch {
                if isReached {
                    logger.warning(
                        "spans can't be sent and are lost", metadata: ["count": "\(spans.count)", "error": "\(error)"])
                }
                return false
            }
        }
    }
}
