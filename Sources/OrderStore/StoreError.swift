// What can go wrong between the domain and its tables.

public import Orders
public import PostgreSQL

/// An error of the store.
public struct StoreError: Error, Sendable, CustomStringConvertible {
    /// What kind of error it is; more may be added.
    public struct Code: Hashable, Sendable, RawRepresentable {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }

        /// The database refused, failed or is out of reach; see ``StoreError/cause``.
        public static let database = Code(rawValue: "database")
        /// The session is lost, or must be given up: see ``StoreError/cause``.
        public static let sessionLost = Code(rawValue: "session_lost")
        /// The server takes no changes.
        public static let readOnly = Code(rawValue: "read_only")
        /// Customers still move between partitions.
        public static let moving = Code(rawValue: "moving")
        /// The session isn't the connection's own: a pooler stands between.
        public static let pooled = Code(rawValue: "pooled")
        /// A row holds what this version can't read.
        public static let unreadableRow = Code(rawValue: "unreadable_row")
        /// The database isn't fit for the books: see ``DatabaseConditions``.
        public static let unfitDatabase = Code(rawValue: "unfit_database")
        /// A role can't be given rights: see ``RoleGrants``.
        public static let unsuitableRole = Code(rawValue: "unsuitable_role")
        /// The catalog file contradicts itself or what is stored.
        public static let invalidCatalog = Code(rawValue: "invalid_catalog")
    }

    public let code: Code
    /// What was being done.
    public let during: String
    public let detail: String
    /// What to do about it.
    public let advice: String
    public let cause: PostgreSQLError?

    init(_ code: Code, during: String, detail: String, advice: String, cause: PostgreSQLError? = nil) {
        self.code = code
        self.during = during
        self.detail = detail
        self.advice = advice
        self.cause = cause
    }

    init(_ cause: PostgreSQLError, during: String) {
        self.init(.database, during: during, detail: "\(cause)", advice: cause.advice, cause: cause)
    }

    /// The database was asked for what closing invoices takes and didn't give it.
    public static func stateMissing(_ missing: MissingState) -> StoreError {
        let what =
            missing.series.sorted().map { "the \($0.kind.rawValue) numbers of \($0.partnerID) for \($0.name)" }
            + missing.invoiceLines.sorted().map { "the lines of customer \($0)'s open invoice" }
        return StoreError(
            .unreadableRow, during: "closing an invoice", detail: "missing: \(what.joined(separator: ", "))",
            advice: "Report it: this is a defect.")
    }

    /// There is no session.
    public static var notConnected: StoreError {
        StoreError(
            .sessionLost, during: "working on the database", detail: "there is no session", advice: "Connect again.")
    }

    /// The same error as a reason to give the session up and to try again with a new one.
    public func losingSession() -> StoreError {
        StoreError(.sessionLost, during: during, detail: detail, advice: advice, cause: cause)
    }

    /// Whether the same can succeed when it is tried again.
    public var isRetriable: Bool { code == .sessionLost || (cause?.isRetriable ?? false) }

    /// Whether the server takes no changes.
    public var isReadOnly: Bool { cause?.sqlState == "25006" }

    /// Whether the connection can still be used, after a rollback where a transaction was open.
    public var isConnectionUsable: Bool { code != .sessionLost && (cause?.isConnectionUsable ?? true) }

    public var description: String { "\(during): \(detail)" }
}
