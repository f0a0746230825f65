// What the server's five-character error codes mean to a program: whether to try again, and what to advise.

enum SQLState {
    static let queryCanceled = "57014"
    static let lockNotAvailable = "55P03"
    static let insufficientPrivilege = "42501"
    static let unknownPreparedStatement = "26000"

    /// Whether the code names a condition that passes (PostgreSQL documentation, appendix A).
    static func isTransient(_ code: String) -> Bool {
        switch code {
        case "40001", "40P01": true  // serialization failure, deadlock
        case lockNotAvailable, queryCanceled: true
        case "25006": true  // read-only: the session is on a standby, a new one may find the primary
        case "57P01", "57P02", "57P03", "57P05": true  // shut down, crashed, starting, idle for too long
        default: code.hasPrefix("08") || code.hasPrefix("53")  // connection, resources
        }
    }

    /// Whether the code says that the server doesn't accept the user.
    static func isAuthentication(_ code: String) -> Bool { code.hasPrefix("28") }

    static func advice(_ code: String) -> String {
        switch code {
        case "42P01", "42703", "42883", "3F000":
            "Check that the migrations were applied to this database: the program expects something that isn't there."
        case insufficientPrivilege:
            "Grant the database user the right that the message names, or do this as a user who has it: migrate and catalog "
                + "apply are for the one that owns the tables."
        case "25P02": "An earlier statement of this transaction failed: roll back first."
        case "25006": "The session is read-only: name the primary, or add target_session_attrs=read-write."
        case "57P01", "57P02", "57P03": "The server stops or starts: try again in a moment."
        case queryCanceled: "It ran into its time limit or was cancelled: look for locks and missing indexes."
        case lockNotAvailable: "Another session holds the lock: try again."
        case "53300": "All the server's connections are taken: raise max_connections or run fewer sessions."
        case "3D000": "Create the database, or correct its name in the connection string."
        default:
            switch code.prefix(2) {
            case "28": "Check user name and password, and the server's pg_hba.conf."
            case "40": "Run the whole transaction again."
            case "53": "The server is short of a resource: disk, memory or connections."
            case "22", "23": "The server refused the data: the statement will fail again unless they change."
            case "42": "The statement is wrong for this schema: this is a fault of the program."
            default: "See the server's message."
            }
        }
    }
}
