// Prometheus' text format.

/// The types of metric that Prometheus knows.
enum SampleType: String {
    case counter
    case gauge
    case histogram
}

/// A dimension of a metric.
struct MetricLabel: Hashable, Comparable {
    let name: String
    let value: String

    static func < (left: MetricLabel, right: MetricLabel) -> Bool {
        (left.name, left.value) < (right.name, right.value)
    }
}

/// Writes samples.
struct MetricText {
    private(set) var text = ""

    mutating func begin(_ name: String, _ type: SampleType, help: String?) {
        if let help {
            text += "# HELP \(name) \(help.replacing("\\", with: "\\\\").replacing("\n", with: "\\n"))\n"
        }
        text += "# TYPE \(name) \(type.rawValue)\n"
    }

    mutating func sample(_ name: String, _ labels: [MetricLabel], _ value: String) {
        text += name
        if !labels.isEmpty {
            let pairs = labels.map { "\($0.name)=\"\(Self.escaped($0.value))\"" }
            text += "{\(pairs.joined(separator: ","))}"
        }
        text += " \(value)\n"
    }

    /// Prometheus writes whole numbers without a fraction; `NaN` and `+Inf` are its own words.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if let whole = Int64(exactly: value) { return "\(whole)" }
        return "\(value)"
    }

    private static func escaped(_ value: String) -> String {
        value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }

    /// A metric's name with only the characters that are allowed: letters, digits, `_` and `:`.
    static func name(_ label: String) -> String { allowed(label) { $0 == UInt8(ascii: ":") } }

    /// A label's name: letters, digits and `_`.
    static func labelName(_ label: String) -> String { allowed(label) { _ in false } }

    private static func allowed(_ label: String, _ isExtra: (UInt8) -> Bool) -> String {
        var bytes: [UInt8] = []
        for byte in label.utf8 {
            let isDigit = (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            let isLetter = (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
            if isDigit && bytes.isEmpty { bytes.append(UInt8(ascii: "_")) }
            bytes.append(isDigit || isLetter || isExtra(byte) ? byte : UInt8(ascii: "_"))
        }
        return bytes.isEmpty ? "_" : String(decoding: bytes, as: UTF8.self)
    }
}
