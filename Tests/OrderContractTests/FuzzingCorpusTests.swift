// What the fuzzers found worth keeping, replayed.

import Foundation
import Promises
import Testing

@Suite struct FuzzingCorpusTests {
    /// The fuzzers' inputs of one kind.
    private func corpus(_ kind: String) throws -> [(name: String, bytes: Data)] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Fuzzing/Corpus/\(kind)")
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        return try files.map { ($0.lastPathComponent, try Data(contentsOf: $0)) }
    }

    @Test("No body that a fuzzer found breaks the decoder's promises")
    func bodies() throws {
        let corpus = try corpus("body")
        #expect(corpus.count > 100)
        for (name, bytes) in corpus {
            #expect(bytes.withUnsafeBytes { DecoderPromises.broken(byBody: $0) } == nil, "\(name)")
        }
    }

    @Test("No properties that a fuzzer found break the decoder's promises")
    func properties() throws {
        let corpus = try corpus("properties")
        #expect(corpus.count > 100)
        for (name, bytes) in corpus {
            #expect(bytes.withUnsafeBytes { DecoderPromises.broken(byProperties: $0) } == nil, "\(name)")
        }
    }
}
