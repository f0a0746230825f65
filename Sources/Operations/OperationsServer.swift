// The operator's HTTP server.

public import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
public import ServiceLifecycle
internal import SystemPackage

/// Serves `/healthz` (the process is alive; 503 where nothing moves any more), `/readyz` (it can work; 503 and the reasons while it can't) and `/metrics`
/// (Prometheus), to GET and HEAD. No page shows a secret.
///
/// It has one thread of its own. What clients can take is bounded: a hundred connections (one more ends the oldest), 16 KiB
/// of headers, 64 KiB of a body, and 12 seconds until an answer is taken or the next request is complete.
public struct OperationsServer: Service {
    private let host: String
    private let port: Int
    private let logger: Logger
    private let pages: Pages
    private let limits: ClientLimits

    /// The metrics that the server itself keeps.
    public static let metricDefinitions = [Pages.ready]

    /// - Parameters:
    ///   - host: an IP address, or `localhost`.
    ///   - port: 0…65535; 0 to have a free one picked and logged.
    ///   - readiness: asked for each request to `/readyz` and `/healthz`, on the server's thread: it must not wait.
    public init(
        host: String = "127.0.0.1", port: Int, metrics: PrometheusMetrics, logger: Logger,
        readiness: @escaping @Sendable () -> Readiness
    ) {
        self.init(
            host: host, port: port, limits: ClientLimits(), metrics: metrics, logger: logger, readiness: readiness)
    }

    init(
        host: String = "127.0.0.1", port: Int, limits: ClientLimits, metrics: PrometheusMetrics, logger: Logger,
        readiness: @escaping @Sendable () -> Readiness
    ) {
        self.host = host
        self.port = port
        self.limits = limits
        self.logger = logger
        self.pages = Pages(metrics: metrics, readiness: readiness)
    }

    /// Serves until a graceful shutdown is asked for or the task is cancelled; then ends all connections at once.
    ///
    /// - Throws: ``OperationsError`` if the address can't be listened on.
    public func run() async throws {
        let address = try address()
        do {
            try await MultiThreadedEventLoopGroup.withEventLoopGroup(numberOfThreads: 1) { group in
                try await serve(try await listener(group).bind(to: address).get())
            }
        } catch {
            throw failure(error)
        }
    }

    private func serve(_ listener: any Channel) async throws {
        logger.notice("serving HTTP", metadata: ["address": "\(listener.localAddress.map(Self.text) ?? host)"])
        try await withTaskCancellationOrGracefulShutdownHandler {
            try await listener.closeFuture.get()
        } onCancelOrGracefulShutdown: {
            listener.close(promise: nil)
        }
        guard Task.isShuttingDownGracefully || Task.isCancelled else {
            throw OperationsError(
                code: .serverFailed, during: "serving HTTP on \(host):\(port)", cause: "it listens no more")
        }
    }

    private func listener(_ group: any EventLoopGroup) -> ServerBootstrap {
        ServerBootstrap(group: group)
            // A restarted worker doesn't have to wait for its predecessor's connections to fade.
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { [limits] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        AcceptBackoffHandler(shouldForwardIOErrorCaught: false),
                        ConnectionLimit(maximum: limits.connections),
                    ])
                }
            }
            .childChannelInitializer { [limits, pages] channel in
                channel.eventLoop.makeCompletedFuture {
                    var decoding = NIOHTTPDecoderLimitConfiguration()
                    decoding.maxHeaderFieldSize = limits.headerSize
                    decoding.maxHeaderListSize = limits.headerSize
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(
                        withEncoderConfiguration: .init(), withDecoderLimitConfiguration: decoding)
                    try channel.pipeline.syncOperations.addHandler(RequestHandler(pages: pages, limits: limits))
                }
            }
    }

    // MARK: Addresses

    private func address() throws -> SocketAddress {
        guard let number = UInt16(exactly: port) else { throw unusable("\(port) is no port") }
        do {
            return try SocketAddress(ipAddress: host == "localhost" ? "127.0.0.1" : host, port: Int(number))
        } catch {
            throw unusable("'\(host)' is no IP address")
        }
    }

    private func unusable(_ cause: String) -> OperationsError {
        OperationsError(code: .addressUnusable, during: "listening on \(host):\(port)", cause: cause)
    }

    private func failure(_ error: any Error) -> OperationsError {
        if let error = error as? OperationsError { return error }
        if let number = (error as? IOError)?.systemError,
            [.addressInUse, .addressNotAvailable, .permissionDenied].contains(number)
        {
            return unusable("\(number)")
        }
        return OperationsError(
            code: .serverFailed, during: "serving HTTP on \(host):\(port)", cause: OperationsError.cause(error))
    }

    private static func text(_ address: SocketAddress) -> String {
        let host = address.ipAddress ?? ""
        return "\(host.contains(":") ? "[\(host)]" : host):\(address.port ?? 0)"
    }
}
