// The operator's HTTP pages.

internal import FlyingFox
internal import FlyingSocks
internal import Foundation
public import Logging
public import ServiceLifecycle

/// Serves `/healthz` (the process is alive), `/readyz` (it can work; 503 and the reasons while it can't) and `/metrics`
/// (Prometheus), to GET and HEAD. No page shows a secret.
public struct OperationsServer: Service {
    private let host: String
    private let port: Int
    private let metrics: PrometheusMetrics
    private let logger: Logger
    private let readiness: @Sendable () -> Readiness

    /// - Parameters:
    ///   - host: an IP address, or `localhost`.
    ///   - port: 0…65535; 0 to have a free one picked and logged.
    ///   - readiness: asked for each request to `/readyz`.
    public init(
        host: String = "127.0.0.1", port: Int, metrics: PrometheusMetrics, logger: Logger,
        readiness: @escaping @Sendable () -> Readiness
    ) {
        self.host = host
        self.port = port
        self.metrics = metrics
        self.logger = logger
        self.readiness = readiness
    }

    /// Serves until a graceful shutdown is asked for or the task is cancelled.
    ///
    /// - Throws: ``OperationsError`` if the address can't be listened on.
    public func run() async throws {
        let server = HTTPServer(address: try address(), timeout: 15, logger: .disabled)
        await addRoutes(to: server)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                do {
                    try await server.run()
                } catch {
                    // It ends with an error when it is stopped, too.
                    if !Task.isShuttingDownGracefully && !Task.isCancelled { throw failure(error) }
                }
            }
            group.addTask {
                // Its own time limit is for servers that never come up; that error tells less than the server's.
                guard (try? await server.waitUntilListening(timeout: 10)) != nil else { return }
                let address = await server.listeningAddress.map(Self.text) ?? host
                logger.notice("serving HTTP", metadata: ["address": "\(address)"])
            }
            group.addTask {
                try await gracefulShutdown()
                await server.stop(timeout: 1)
            }
            do {
                // The server, and either its announcement or the shutdown; the other of those waits to be cancelled.
                for _ in 0..<2 { try await group.next() }
            } catch is CancellationError {}
            group.cancelAll()
        }
    }

    // MARK: Pages

    private func addRoutes(to server: HTTPServer) async {
        await server.appendRoute("GET,HEAD /healthz") { _ in
            Self.page("text/plain; charset=utf-8", Data("ok\n".utf8))
        }
        await server.appendRoute("GET,HEAD /readyz") { [readiness] _ in
            let readiness = readiness()
            return Self.page(
                "application/json", try readiness.json(), status: readiness.isReady ? .ok : .serviceUnavailable)
        }
        await server.appendRoute("GET,HEAD /metrics") { [metrics] _ in
            Self.page("text/plain; version=0.0.4; charset=utf-8", Data(metrics.rendered().utf8))
        }
    }

    private static func page(_ type: String, _ body: Data, status: HTTPStatusCode = .ok) -> HTTPResponse {
        HTTPResponse(
            statusCode: status, headers: [.contentType: type, HTTPHeader("Cache-Control"): "no-store"], body: body)
    }

    // MARK: Addresses

    private func address() throws -> any SocketAddress {
        guard let number = UInt16(exactly: port) else { throw unusable("\(port) is no port") }
        if host == "localhost" { return try sockaddr_in.inet(ip4: "127.0.0.1", port: number) }
        do {
            return host.contains(":")
                ? try sockaddr_in6.inet6(ip6: host, port: number) : try sockaddr_in.inet(ip4: host, port: number)
        } catch {
            throw unusable("'\(host)' is no IP address")
        }
    }

    private func unusable(_ cause: String) -> OperationsError {
        OperationsError(code: .addressUnusable, during: "listening on \(host):\(port)", cause: cause)
    }

    private func failure(_ error: any Error) -> OperationsError {
        guard case SocketError.failed(_, let number, let message) = error else {
            return OperationsError(code: .serverFailed, during: "serving HTTP on \(host):\(port)", cause: "\(error)")
        }
        let isAddress = [EADDRINUSE, EADDRNOTAVAIL, EACCES].contains(number)
        return isAddress
            ? unusable(message)
            : OperationsError(code: .serverFailed, during: "serving HTTP on \(host):\(port)", cause: message)
    }

    private static func text(_ address: Socket.Address) -> String {
        switch address {
        case .ip4(let host, let port): "\(host):\(port)"
        case .ip6(let host, let port): "[\(host)]:\(port)"
        case .unix(let path): path
        }
    }
}
