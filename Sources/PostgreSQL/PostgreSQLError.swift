// The one error of this module: what failed, during what, whether trying again can help, and what to do about it.

/// An error of the database, of the connection to it, or of the use of either.
public struct PostgreSQLError: Error, Sendable {
    /// What kind of error it is. New codes may be added.
    public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }
        public var description: String { rawValue }

        /// The connection string or an option can't be used.
        public static let invalidConfiguration = Code(rawValue: "invalidConfiguration")
        /// No server could be reached, or none of those that the configuration names accepted the connection.
        public static let connectionFailed = Code(rawValue: "connectionFailed")
        /// A server refused the user, the password or the certificate.
        public static let authenticationFailed = Code(rawValue: "authenticationFailed")
        /// The connection broke. What was sent may or may not have taken effect.
        public static let connectionLost = Code(rawValue: "connectionLost")
        /// The connection had been closed before the call, or was closed during it.
        public static let connectionClosed = Code(rawValue: "connectionClosed")
        /// The statement was cancelled by the server's time limit, or no answer came in time.
        public static let timedOut = Code(rawValue: "timedOut")
        /// The server reported an error: ``PostgreSQLError/sqlState`` says which.
        public static let server = Code(rawValue: "server")
        /// A `COMMIT` was answered with `ROLLBACK`, because a statement of the transaction had failed.
        public static let rolledBack = Code(rawValue: "rolledBack")
        /// A statement or parameter can't be sent.
        public static let encoding = Code(rawValue: "encoding")
        /// A column is missing, null, or of another type than the one that was asked for.
        public static let decoding = Code(rawValue: "decoding")
        /// A call that isn't allowed in the connection's state, such as a transaction in a transaction.
        public static let invalidUse = Code(rawValue: "invalidUse")
        /// The database was migrated by a newer program than this one.
        public static let schemaTooNew = Code(rawValue: "schemaTooNew")
        /// Migrations of this program haven't been applied.
        public static let schemaTooOld = Code(rawValue: "schemaTooOld")
        /// An applied migration isn't the one that this program contains.
        public static let migrationAltered = Code(rawValue: "migrationAltered")
    }

    public let code: Code
    /// What was being done: a statement's name, or words such as "connect".
    public internal(set) var during: String
    /// What happened, in a sentence. Holds no password; a server's message may quote a value that it refused.
    public internal(set) var message: String
    /// What to do about it.
    public internal(set) var advice: String
    /// The place in its pipeline of the statement that failed, counted from 0.
    public internal(set) var statementIndex: Int?
    /// The five characters of the server's error code; nil when the error isn't the server's.
    public internal(set) var sqlState: String?
    /// The server's detail. It may hold data (`Key (email)=(…) already exists.`), so ``description`` leaves it out.
    public internal(set) var detail: String?
    public internal(set) var hint: String?
    public internal(set) var schema: String?
    public internal(set) var table: String?
    public internal(set) var column: String?
    public internal(set) var constraint: String?
    /// Whether the connection can be used further. When a transaction is open, it has to be rolled back first.
    public internal(set) var isConnectionUsable: Bool

    /// The server couldn't use what it had prepared before; the next attempt prepares it anew.
    var isStalePreparation = false

    init(
        _ code: Code, during: String, _ message: String, advice: String, sqlState: String? = nil,
        isConnectionUsable: Bool = true
    ) {
        self.code = code
        self.during = during
        self.message = message
        self.advice = advice
        self.sqlState = sqlState
        self.isConnectionUsable = isConnectionUsable
    }

    /// Whether the user may not do that.
    public var isForWantOfRights: Bool { sqlState == SQLState.insufficientPrivilege }

    /// Whether the same work, tried again later and on a new connection where this one isn't usable, can succeed.
    public var isRetriable: Bool {
        switch code {
        case .connectionLost, .connectionClosed, .timedOut:
            true
        case .connectionFailed:
            // A server that answers nothing may come back; a database that doesn't exist won't.
            sqlState.map(SQLState.isTransient) ?? true
        case .server:
            isStalePreparation || sqlState.map(SQLState.isTransient) ?? false
        default:
            false
        }
    }
}

extension PostgreSQLError: CustomStringConvertible {
    public var description: String {
        let state = sqlState.map { " (SQLSTATE \($0))" } ?? ""
        let index = statementIndex.map { ", statement \($0 + 1) of the pipeline" } ?? ""
        return "PostgreSQL \(code)\(state) during \(during)\(index): \(message) \(advice)"
    }
}

extension PostgreSQLError {
    static func closed(during: String) -> PostgreSQLError {
        PostgreSQLError(
            .connectionClosed, during: during, "The connection is closed.", advice: "Open a new connection.",
            isConnectionUsable: false)
    }

    static func lost(during: String, _ message: String) -> PostgreSQLError {
        PostgreSQLError(
            .connectionLost, during: during, message,
            advice: "Open a new connection. A transaction whose COMMIT was under way may have been committed or not.",
            isConnectionUsable: false)
    }
}
