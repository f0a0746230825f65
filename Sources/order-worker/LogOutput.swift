// Where log lines go: standard error, as JSON in containers and as text on a terminal.

internal import Glibc
internal import Logging
internal import Operations
internal import Synchronization

/// The form of log lines.
enum LogFormat: String {
    case json
    case text
}

/// The least important level that is logged, which may change while the program runs.
final class LogThreshold: Sendable {
    private let index: Atomic<Int>

    init(_ level: Logger.Level) { index = Atomic(Self.index(of: level)) }

    var level: Logger.Level {
        get { Logger.Level.allCases[index.load(ordering: .relaxed)] }
        set { index.store(Self.index(of: newValue), ordering: .relaxed) }
    }

    private static func index(of level: Logger.Level) -> Int { Logger.Level.allCases.firstIndex(of: level) ?? 0 }
}

enum LogOutput {
    /// Of all loggers that have no level of their own.
    static let threshold = LogThreshold(.info)

    /// Sets the process's logging up. A second call changes nothing.
    static func bootstrap(_ settings: Settings) throws {
        threshold.level = try settings.logLevel
        let format = LogFormat(rawValue: try settings.text(.logFormat)) ?? (isatty(2) == 1 ? .text : .json)
        guard !isBootstrapped.exchange(true, ordering: .relaxed) else { return }
        let bootstrap: @Sendable (String, Logger.MetadataProvider?) -> any LogHandler = { label, provider in
            var handler = LineLogHandler(label: label, format: format, threshold: threshold) { line in write(line) }
            handler.metadataProvider = provider
            return handler
        }
        LoggingSystem.bootstrap(bootstrap, metadataProvider: .currentSpan)
    }

    /// Sets the level anew, by settings that were read again.
    static func change(to settings: Settings, logger: Logger) throws {
        let level = try settings.logLevel
        let origin = (settings.entries[.logLevel]?.origin ?? .standard).name
        let before = threshold.level
        threshold.level = level
        // Told at a level that is shown before as well as after.
        logger.log(
            level: max(level, before, .notice), "log level", metadata: ["level": "\(level)", "from": "\(origin)"])
    }

    private static let isBootstrapped = Atomic(false)
    private static let turn = Mutex(())

    /// Lines of several threads don't mix. A line that can't be written is lost: there is nowhere to say so.
    private static func write(_ line: [UInt8]) {
        turn.withLock { _ in _ = Console.write(line, to: 2) }
    }
}

extension Settings {
    var logLevel: Logger.Level {
        get throws { Logger.Level(rawValue: try text(.logLevel)) ?? .info }
    }
}
