// What the process's exit status says. Documented in `--help`.

internal import Glibc

/// The statuses that the program ends with.
enum ExitStatus: Int32, CaseIterable {
    case done = 0
    case refused = 1
    case trouble = 2
    case usage = 64
    case unavailable = 69
    case configuration = 78

    /// The status of a process that a second signal ended, by convention.
    static func signal(_ number: Int32) -> Int32 { 128 + number }

    /// Ends the process without the libraries' own cleaning up: threads that are still ending use what OpenSSL's would free.
    static func end(_ status: Int32) -> Never {
        fflush(nil)
        _exit(status)
    }

    var meaning: String {
        switch self {
        case .done: "done; for `run`: stopped as asked, with nothing left in hand"
        case .refused: "a command was rejected, or a check found something wrong"
        case .trouble: "not finished: an outcome didn't come in time, or something failed on the way"
        case .usage: "the command line can't be understood"
        case .unavailable: "the broker or the database can't be reached, or went away"
        case .configuration: "a setting is missing or malformed, a login is refused, or the database has another schema"
        }
    }

    /// For `--help`.
    static var table: String {
        let rows =
            allCases.map { ("\($0.rawValue)", $0.meaning) } + [
                ("130, 143", "ended at once by a second SIGINT or SIGTERM; nothing is lost by that")
            ]
        return rows.map { row in "  \(row.0.padded(to: 10))\(row.1)" }.joined(separator: "\n")
    }
}

/// A failure that ends the program: what happened, what to do about it, and the status to end with.
struct Failure: Error, CustomStringConvertible {
    let status: ExitStatus
    let message: String
    var advice = ""

    var description: String { advice.isEmpty ? message : "\(message)\n       \(advice)" }
}

extension String {
    /// The text with spaces after it, up to this many characters.
    func padded(to width: Int) -> String {
        count < width ? self + String(repeating: " ", count: width - count) : self
    }
}
