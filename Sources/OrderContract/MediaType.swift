// The content types that the contract knows.

/// A media type without its parameters, lower case.
struct MediaType: Hashable {
    let name: String
    private let charset: String?

    /// Reads a content type such as `application/json; charset=utf-8`. Anything can be read; what is no media type
    /// isn't equal to any.
    init(_ text: String) {
        // Most texts are a plain lower-case name already.
        guard text.utf8.contains(where: { $0 == UInt8(ascii: ";") || $0 <= 0x20 || (0x41...0x5A).contains($0) }) else {
            name = text
            charset = nil
            return
        }
        let parts = text.split(separator: ";", omittingEmptySubsequences: false)
        name = Self.trimmed(parts.first ?? "")
        let prefix = "charset="
        charset = parts.dropFirst().map(Self.trimmed).first { $0.hasPrefix(prefix) }.map {
            String($0.dropFirst(prefix.count)).replacing("\"", with: "")
        }
    }

    /// Whether it is a JSON type in UTF-8: `application/json`, `text/json` or one that ends in `+json`.
    var isJSON: Bool { isUTF8 && (name == "application/json" || name == "text/json" || name.hasSuffix("+json")) }

    /// Whether it says nothing of the contents: what client libraries fill in by themselves. JSON may be sent as that.
    var isUnspecific: Bool {
        isUTF8 && ["", "text/plain", "application/octet-stream", "binary/octet-stream"].contains(name)
    }

    /// Whether it is a CloudEvent in the JSON format (structured mode).
    var isStructuredEvent: Bool { isUTF8 && name == "application/cloudevents+json" }

    /// Whether it is any CloudEvents format, batches and formats that aren't supported included.
    var isAnyEventFormat: Bool { name.hasPrefix("application/cloudevents") }

    private var isUTF8: Bool { charset.map { ["utf-8", "utf8", "us-ascii"].contains($0) } ?? true }

    private static func trimmed(_ text: some StringProtocol) -> String {
        let isSpace = { (character: Character) in character == " " || character == "\t" }
        let front = text.drop(while: isSpace)
        guard let last = front.lastIndex(where: { !isSpace($0) }) else { return "" }
        return front[...last].lowercased()
    }
}
