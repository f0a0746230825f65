// The README's table of settings is the program's.

import Foundation
import Testing

@testable import order_worker

@Suite("The README")
struct ReadmeTests {
    @Test("It shows the settings as `order-worker run --print-settings` prints them")
    func settings() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../README.md")
        let readme = try String(contentsOf: file.standardizedFileURL, encoding: .utf8)
        let parts = readme.split(separator: /<!-- \/?settings -->/, omittingEmptySubsequences: false)
        try #require(parts.count == 3)
        #expect(parts[1].trimmingCharacters(in: .whitespacesAndNewlines) == Setting.markdownTable)
    }
}
