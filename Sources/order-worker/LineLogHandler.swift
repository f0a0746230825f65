// One line for each log event, as JSON or as text, with secrets and e-mail addresses taken out.

internal import FoundationEssentials
internal import Logging
internal import OrderContract

/// Writes log events as lines.
///
/// In JSON the metadata are members beside `time`, `level`, `logger` and `message`; one that has such a name gets an
/// underscore in front.
struct LineLogHandler: LogHandler {
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?
    /// The logger's own where it was given one, else the program's.
    var logLevel: Logger.Level {
        get { ownLevel ?? threshold.level }
        set { ownLevel = newValue }
    }

    private var ownLevel: Logger.Level?
    private let threshold: LogThreshold
    private let label: String
    private let format: LogFormat
    private let now: @Sendable () -> Date
    private let write: @Sendable ([UInt8]) -> Void

    /// - Parameter write: takes a line, its line break included.
    init(
        label: String, format: LogFormat, threshold: LogThreshold,
        now: @escaping @Sendable () -> Date = { Date() }, write: @escaping @Sendable ([UInt8]) -> Void
    ) {
        self.label = label
        self.format = format
        self.threshold = threshold
        self.now = now
        self.write = write
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { $1 } }
        if let given = event.metadata { all.merge(given) { $1 } }
        if let error = event.error { all["error"] = "\(error)" }
        let sorted = all.sorted { $0.key < $1.key }
        switch format {
        case .json: write(jsonLine(event, sorted))
        case .text: write(textLine(event, sorted))
        }
    }

    private func jsonLine(_ event: LogEvent, _ metadata: [(key: String, value: Logger.Metadata.Value)]) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("time", now().formatted(Self.timeStyle))
            writer.member("level", event.level.rawValue)
            writer.member("logger", label)
            writer.member("message", Redaction.redacted(event.message.description))
            for (key, value) in metadata {
                writer.name(Self.reserved.contains(key) ? "_\(key)" : key)
                Self.write(value, to: &writer)
            }
        }
        return writer.bytes + [UInt8(ascii: "\n")]
    }

    private func textLine(_ event: LogEvent, _ metadata: [(key: String, value: Logger.Metadata.Value)]) -> [UInt8] {
        let time = now().formatted(Self.timeStyle).dropFirst(11).dropLast()
        let pairs = metadata.map { key, value in
            let text = Redaction.redacted("\(value)")
            let isPlain = !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x22 && $0 != 0x7F }
            return " \(key)=\(isPlain ? text : text.debugDescription)"
        }
        let message = Redaction.redacted(event.message.description).replacing("\n", with: " ")
        return Array("\(time) \(event.level.rawValue.padded(to: 8)) \(message)\(pairs.joined())\n".utf8)
    }

    private static let reserved: Set<String> = ["time", "level", "logger", "message"]

    private static var timeStyle: Date.ISO8601FormatStyle { Date.ISO8601FormatStyle(includingFractionalSeconds: true) }

    private static func write(_ value: Logger.Metadata.Value, to writer: inout JSONWriter) {
        switch value {
        case .dictionary(let dictionary):
            writer.object { writer in
                for (key, value) in dictionary.sorted(by: { $0.key < $1.key }) {
                    writer.name(key)
                    write(value, to: &writer)
                }
            }
        case .array(let values):
            writer.array(values) { writer, value in write(value, to: &writer) }
        default:
            writer.string(Redaction.redacted("\(value)"))
        }
    }
}
