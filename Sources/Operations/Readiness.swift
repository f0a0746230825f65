// Whether the process can do its work, and if not, why.

internal import FoundationEssentials

/// The answer of `/readyz`, and of `/healthz`.
public struct Readiness: Sendable, Hashable {
    public var isReady: Bool
    /// Why not, or what doesn't work although the rest does, a sentence each. They are shown to whoever asks: they must hold
    /// no secret.
    public var reasons: [String]
    /// Whether the process still moves at all. If not, only a restart helps.
    public var isAlive: Bool

    public init(isReady: Bool, reasons: [String] = [], isAlive: Bool = true) {
        self.isReady = isReady
        self.reasons = reasons
        self.isAlive = isAlive
    }

    private struct Page: Codable {
        let ready: Bool
        let reasons: [String]
    }

    init(json: String) throws {
        let page = try JSONDecoder().decode(Page.self, from: Data(json.utf8))
        self.init(isReady: page.ready, reasons: page.reasons)
    }

    /// As JSON.
    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(Page(ready: isReady, reasons: reasons)), as: UTF8.self)
    }
}
