// Where log lines go: standard error, as JSON in containers and as text on a terminal.

internal import Glibc
internal import Logging
internal import Synchronization

/// The form of log lines.
enum LogFormat: String {
    case json
    case text
}

enum LogOutput {
    /// Sets the process's logging up. A second call changes nothing.
    static func bootstrap(_ settings: Settings) throws {
        let level = Logger.Level(rawValue: try settings.text(.logLevel)) ?? .info
        let format = LogFormat(rawValue: try settings.text(.logFormat)) ?? (isatty(2) == 1 ? .text : .json)
        guard !isBootstrapped.exchange(true, ordering: .relaxed) else { return }
        LoggingSystem.bootstrap { label in
            LineLogHandler(label: label, format: format, level: level) { line in write(line) }
        }
    }

    private static let isBootstrapped = Atomic(false)
    private static let turn = Mutex(())

    /// Lines of several threads don't mix. A line that can't be written is lost: there is nowhere to say so.
    private static func write(_ line: [UInt8]) {
        turn.withLock { _ in _ = Console.write(line, to: 2) }
    }
}
