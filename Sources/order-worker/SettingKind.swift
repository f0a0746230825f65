// What a setting's text must look like, and what it then means.

/// The form of a setting.
enum SettingKind: Sendable, Equatable {
    case text
    case integer(ClosedRange<Int>)
    case duration(ClosedRange<Duration>)
    case choice([String])

    /// The accepted form, in words that continue "it must be".
    var accepted: String {
        switch self {
        case .text: "a text that isn't empty"
        case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .duration(let range):
            "a duration such as 500ms, 20s, 5m or 24h, from \(range.lowerBound.text) to \(range.upperBound.text)"
        case .choice(let choices): "one of " + choices.joined(separator: ", ")
        }
    }

    /// What the text means; `nil` if it hasn't the accepted form.
    func value(of text: String) -> SettingValue? {
        switch self {
        case .text:
            return text.isEmpty ? nil : .text(text)
        case .integer(let range):
            guard let number = Int(text), range.contains(number) else { return nil }
            return .integer(number)
        case .duration(let range):
            guard let duration = Duration(text: text), range.contains(duration) else { return nil }
            return .duration(duration)
        case .choice(let choices):
            return choices.contains(text) ? .text(text) : nil
        }
    }
}

/// What a setting's text means.
enum SettingValue: Sendable, Equatable, CustomStringConvertible {
    case text(String)
    case integer(Int)
    case duration(Duration)

    var description: String {
        switch self {
        case .text(let text): text
        case .integer(let number): "\(number)"
        case .duration(let duration): duration.text
        }
    }
}

extension Duration {
    private static let units: [(name: String, duration: Duration)] = [
        ("d", .seconds(86_400)), ("h", .seconds(3600)), ("m", .seconds(60)), ("s", .seconds(1)),
        ("ms", .milliseconds(1)),
    ]

    /// Reads a whole number with a unit: `500ms`, `20s`, `5m`, `24h`, `7d`; up to nine digits.
    init?(text: String) {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit = text.dropFirst(digits.count)
        guard let count = Int(digits), digits.count <= 9, let match = Self.units.first(where: { $0.name == unit })
        else {
            return nil
        }
        self = match.duration * count
    }

    /// The shortest text that reads as this duration, to the millisecond.
    var text: String {
        let milliseconds = Int64(self / .milliseconds(1))
        if milliseconds == 0 { return "0s" }
        for (name, duration) in Self.units {
            let size = Int64(duration / .milliseconds(1))
            if milliseconds.isMultiple(of: size) { return "\(milliseconds / size)\(name)" }
        }
        return "\(milliseconds)ms"
    }
}
