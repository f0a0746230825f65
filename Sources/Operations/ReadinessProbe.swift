// Asks a running process's `/readyz`.

internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix

/// Asks whether a process is ready, over HTTP.
public enum ReadinessProbe {
    /// - Parameters:
    ///   - host: as ``OperationsServer`` was given it; an address that means all interfaces is asked on the loopback.
    ///   - port: 1…65535.
    /// - Throws: ``OperationsError`` if nothing answers within the time limit, or not as the server would.
    public static func ask(host: String, port: Int, timeout: Duration = .seconds(5)) async throws -> Readiness {
        let during = "asking http://\(host):\(port)/readyz"
        do {
            return try await withThrowingTaskGroup(of: Readiness.self) { group in
                group.addTask { try await answer(host: host, port: port, timeout: timeout) }
                group.addTask {
                    try await Task.sleep(for: timeout)
                    throw Failure(cause: "no answer within \(timeout)")
                }
                defer { group.cancelAll() }
                guard let first = try await group.next() else { throw Failure(cause: "no answer") }
                return first
            }
        } catch {
            let cause = (error as? Failure)?.cause ?? OperationsError.cause(error)
            throw OperationsError(code: .noAnswer, during: during, cause: cause)
        }
    }

    private struct Failure: Error {
        let cause: String
    }

    private static func answer(host: String, port: Int, timeout: Duration) async throws -> Readiness {
        let target = ["0.0.0.0": "127.0.0.1", "::": "::1", "localhost": "127.0.0.1"][host] ?? host
        let address = try SocketAddress(ipAddress: target, port: Int(UInt16(clamping: port)))
        let name = target.contains(":") ? "[\(target)]:\(port)" : "\(target):\(port)"
        return try await MultiThreadedEventLoopGroup.withEventLoopGroup(numberOfThreads: 1) { group in
            // A connection that is being made doesn't end with the task: it has the time limit, too.
            let connection = try await ClientBootstrap(group: group).connectTimeout(TimeAmount(timeout))
                .connect(to: address) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHTTPClientHandlers()
                        try channel.pipeline.syncOperations.addHandler(
                            NIOHTTPClientResponseAggregator(maxContentLength: 1024 * 1024))
                        return try NIOAsyncChannel<NIOHTTPClientResponseFull, HTTPClientRequestPart>(
                            wrappingChannelSynchronously: channel)
                    }
                }
            return try await connection.executeThenClose { answers, requests in
                let headers: HTTPHeaders = ["Host": name, "Connection": "close"]
                let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/readyz", headers: headers)
                // In one: the head is the whole request to the server, which may have answered and left already.
                try await requests.write(contentsOf: [.head(head), .end(nil)])
                for try await answer in answers { return try readiness(answer) }
                throw Failure(cause: "the connection was closed without an answer")
            }
        }
    }

    private static func readiness(_ answer: NIOHTTPClientResponseFull) throws -> Readiness {
        do {
            return try Readiness(json: answer.body.map { String(buffer: $0) } ?? "")
        } catch {
            throw Failure(cause: "the answer, with status \(answer.head.status.code), isn't a worker's")
        }
    }
}
