// One connection's requests and answers.

internal import NIOCore
internal import NIOHTTP1

/// Answers a connection's requests, one after the other, and ends the connection when its client takes too long or too
/// much. It stands behind NIO's own HTTP handlers, and runs on the event loop alone.
final class RequestHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private enum State {
        case waiting
        case receiving(HTTPRequestHead, bodySize: Int)
        /// The answer was given. Whatever is still to come of the request is ignored.
        case answered
    }

    private let pages: Pages
    private let limits: ClientLimits
    private var state = State.waiting
    private var deadline: Scheduled<Void>?

    init(pages: Pages, limits: ClientLimits) {
        self.pages = pages
        self.limits = limits
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch (unwrapInboundIn(data), state) {
        case (.head(let head), .waiting):
            state = .receiving(head, bodySize: 0)
            // Its client waits to hear whether the body is wanted. It isn't.
            if head.headers.contains(name: "Expect") { answer(head, isLast: true, context: context) }
        case (.body(let bytes), .receiving(let head, let size)):
            let size = size + bytes.readableBytes
            state = .receiving(head, bodySize: size)
            if size > limits.bodySize { send(.status(.payloadTooLarge), to: head, isLast: true, context: context) }
        case (.end, .receiving(let head, _)):
            answer(head, isLast: !Self.canStay(after: head), context: context)
        default:
            break
        }
    }

    /// Whether the connection can serve another request. The decoder reads nothing after one that asks for another
    /// protocol.
    private static func canStay(after head: HTTPRequestHead) -> Bool {
        head.version == .http1_1 && head.isKeepAlive && head.method != .CONNECT
            && !head.headers.contains(name: "Upgrade")
    }

    // MARK: Answers

    private func answer(_ head: HTTPRequestHead, isLast: Bool, context: ChannelHandlerContext) {
        send(pages.answer(head.method, head.uri), to: head, isLast: isLast, context: context)
    }

    private func send(_ page: Page, to head: HTTPRequestHead, isLast: Bool, context: ChannelHandlerContext) {
        state = .answered
        let body = ByteBuffer(string: page.body)
        var headers: HTTPHeaders = [
            "Content-Type": page.type, "Content-Length": "\(body.readableBytes)", "Cache-Control": "no-store",
        ]
        if page.status == .methodNotAllowed {
            headers.add(name: "Allow", value: Pages.methods.map(\.rawValue).joined(separator: ", "))
        }
        if isLast { headers.add(name: "Connection", value: "close") }
        let sent = context.eventLoop.makePromise(of: Void.self)
        sent.futureResult.assumeIsolated().whenSuccess { self.finish(isLast: isLast, context: context) }
        context.write(
            wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: page.status, headers: headers))),
            promise: nil)
        context.writeAndFlush(
            wrapOutboundOut(.body(.byteBuffer(head.method == .HEAD ? ByteBuffer() : body))), promise: sent)
    }

    /// Goes on once the system has taken the whole answer: NIO's handler holds the next request back until the answer's
    /// end, so a client that asks and doesn't read can't fill the memory.
    private func finish(isLast: Bool, context: ChannelHandlerContext) {
        if isLast {
            context.close(promise: nil)
        } else {
            state = .waiting
            restartDeadline(context: context)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
    }

    // MARK: The connection

    func channelActive(context: ChannelHandlerContext) {
        restartDeadline(context: context)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        context.fireChannelInactive()
    }

    /// What the client sent isn't HTTP, and was answered with 400 already; or the connection broke.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func restartDeadline(context: ChannelHandlerContext) {
        deadline?.cancel()
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(limits.patience)) {
            context.close(promise: nil)
        }
    }
}
