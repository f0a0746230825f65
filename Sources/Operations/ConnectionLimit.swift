// Bounds how many clients are connected at once.

internal import NIOCore

/// Ends the oldest connection where a new one would be too many, so that clients that never leave don't shut out the
/// health check. It stands in the listening socket's pipeline, before the handler that starts the connections.
final class ConnectionLimit: ChannelInboundHandler {
    typealias InboundIn = any Channel
    typealias InboundOut = any Channel

    private let maximum: Int
    /// The oldest first.
    private var connections: [any Channel] = []

    init(maximum: Int) {
        self.maximum = maximum
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let connection = unwrapInboundIn(data)
        if connections.count >= maximum { connections.removeFirst().close(promise: nil) }
        connections.append(connection)
        // All connections are on the listening socket's event loop: the server has one.
        connection.closeFuture.assumeIsolated().whenComplete { _ in
            self.connections.removeAll { $0 === connection }
        }
        context.fireChannelRead(data)
    }
}
