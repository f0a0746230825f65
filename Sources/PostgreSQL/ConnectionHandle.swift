// Owns one libpq connection, frees it, and passes the server's notices on to the log.

internal import CLibPQ
internal import Logging

/// A `PGconn`. It is touched on its connection's own thread alone; the last reference may go anywhere, when no other
/// thread can be using it.
final class ConnectionHandle {
    let pointer: OpaquePointer
    /// libpq holds it without a reference of its own.
    private let notices: NoticeLog

    /// Takes the connection over.
    init(_ pointer: OpaquePointer, logger: Logger) {
        self.pointer = pointer
        self.notices = NoticeLog(logger: logger)
        PQsetNoticeReceiver(
            pointer,
            { context, result in
                guard let context, let result else { return }
                Unmanaged<NoticeLog>.fromOpaque(context).takeUnretainedValue().log(result)
            },
            Unmanaged.passUnretained(notices).toOpaque())
    }

    deinit {
        // In the non-blocking mode the farewell to the server is sent if there is room for it, and never waited for.
        PQfinish(pointer)
    }

    var descriptor: Int32 { PQsocket(pointer) }

    var isBroken: Bool { PQstatus(pointer) == CONNECTION_BAD }

    var errorText: String { Self.sentence(PQerrorMessage(pointer)) }

    /// libpq's text in one line.
    static func sentence(_ text: UnsafePointer<CChar>?) -> String {
        guard let text else { return "No reason was given." }
        let line = String(cString: text).split(whereSeparator: \.isNewline)
            .map { $0.drop(while: \.isWhitespace) }.joined(separator: " ")
        return line.isEmpty ? "No reason was given." : line.hasSuffix(".") || line.hasSuffix("?") ? line : line + "."
    }
}

private final class NoticeLog {
    private let logger: Logger

    init(logger: Logger) { self.logger = logger }

    func log(_ result: OpaquePointer) {
        func field(_ code: ServerResult.Field) -> String {
            PQresultErrorField(result, Int32(code.rawValue)).map { String(cString: $0) } ?? ""
        }
        logger.debug(
            "The database server gives notice.",
            metadata: [
                "severity": "\(field(.severity))", "sqlState": "\(field(.sqlState))", "notice": "\(field(.message))",
            ])
    }
}
