// One question over HTTP to a server on this network.

internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix

/// Asks a server one question, on a connection of its own, without encryption.
public enum HTTPQuestion {
    /// What the server answered.
    public struct Answer: Sendable, Hashable {
        /// The HTTP status.
        public let status: Int
        public let body: String
    }

    /// - Parameters:
    ///   - host: a name or an IP address.
    ///   - port: 1…65535.
    ///   - path: with the query, encoded.
    ///   - authorization: the header of that name, if any.
    ///   - maximumSize: of the answer's body, in bytes.
    /// - Throws: ``OperationsError`` if nothing answers within the time limit.
    public static func get(
        host: String, port: Int, path: String, authorization: String? = nil, timeout: Duration = .seconds(5),
        maximumSize: Int = 16 * 1024 * 1024
    ) async throws -> Answer {
        try await ask(
            .GET, host, port, path, headers: authorization.map { ["Authorization": $0] } ?? [:], body: nil,
            timeout: timeout, maximumSize: maximumSize)
    }

    /// Sends a document. The parameters and errors are those of ``get(host:port:path:authorization:timeout:maximumSize:)``.
    public static func post(
        host: String, port: Int, path: String, headers: [String: String], body: [UInt8],
        timeout: Duration = .seconds(5), maximumSize: Int = 1024 * 1024
    ) async throws -> Answer {
        try await ask(
            .POST, host, port, path, headers: headers, body: body, timeout: timeout, maximumSize: maximumSize)
    }

    private static func ask(
        _ method: HTTPMethod, _ host: String, _ port: Int, _ path: String, headers: [String: String], body: [UInt8]?,
        timeout: Duration, maximumSize: Int
    ) async throws -> Answer {
        let name = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        let during = "asking http://\(name)\(path.prefix { $0 != "?" })"
        do {
            return try await withThrowingTaskGroup(of: Answer.self) { group in
                group.addTask {
                    try await answer(
                        method, host: host, port: port, name: name, path: path, fields: headers, body: body,
                        timeout: timeout, maximumSize: maximumSize)
                }
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

    private static func answer(
        _ method: HTTPMethod, host: String, port: Int, name: String, path: String, fields: [String: String],
        body: [UInt8]?, timeout: Duration, maximumSize: Int
    ) async throws -> Answer {
        try await MultiThreadedEventLoopGroup.withEventLoopGroup(numberOfThreads: 1) { group in
            // A connection that is being made doesn't end with the task: it has the time limit, too.
            let connection = try await ClientBootstrap(group: group).connectTimeout(TimeAmount(timeout))
                .connect(host: host, port: port) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHTTPClientHandlers()
                        try channel.pipeline.syncOperations.addHandler(
                            NIOHTTPClientResponseAggregator(maxContentLength: maximumSize))
                        return try NIOAsyncChannel<NIOHTTPClientResponseFull, HTTPClientRequestPart>(
                            wrappingChannelSynchronously: channel)
                    }
                }
            return try await connection.executeThenClose { answers, requests in
                var headers: HTTPHeaders = ["Host": name, "Connection": "close"]
                for (field, value) in fields { headers.add(name: field, value: value) }
                if let body { headers.add(name: "Content-Length", value: "\(body.count)") }
                let head = HTTPRequestHead(version: .http1_1, method: method, uri: path, headers: headers)
                let parts: [HTTPClientRequestPart] = body.map { [.body(.byteBuffer(ByteBuffer(bytes: $0)))] } ?? []
                // In one: the head is the whole request to the server, which may have answered and left already.
                try await requests.write(contentsOf: [.head(head)] + parts + [.end(nil)])
                for try await answer in answers {
                    return Answer(
                        status: Int(answer.head.status.code), body: answer.body.map { String(buffer: $0) } ?? "")
                }
                throw Failure(cause: "the connection was closed without an answer")
            }
        }
    }
}
