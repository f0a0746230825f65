// Runs the built program as a process of its own.

import Foundation
import Synchronization
import Testing

/// The program as it was built beside these tests, started with nothing in its environment but what a test gives it.
final class Program: Sendable {
    struct Ending: Sendable {
        let status: Int32
        let output: String
        let errors: String
    }

    /// Its lock keeps the process, which isn't sendable, to one task at a time.
    private let process: Mutex<Process>
    private let ended: AsyncStream<Int32>
    private let files: (output: URL, errors: URL)

    /// - Parameters:
    ///   - output: what standard output is, where it isn't to be read here.
    ///   - launcher: a program that starts it, and that program's arguments.
    init(
        _ arguments: [String], environment: [String: String] = [:], input: String = "", output: FileHandle? = nil,
        launcher: [String] = []
    ) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("order-worker-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let inputFile = folder.appendingPathComponent("in")
        files = (folder.appendingPathComponent("out"), folder.appendingPathComponent("err"))
        try Data(input.utf8).write(to: inputFile)
        for file in [files.output, files.errors] { try Data().write(to: file) }

        let process = Process()
        let program = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
            .appendingPathComponent("order-worker")
        let words = launcher + [program.path] + arguments
        process.executableURL = URL(fileURLWithPath: words[0])
        process.arguments = Array(words.dropFirst())
        process.environment = environment.merging(["PATH": "/usr/bin:/bin"]) { given, _ in given }
        process.standardInput = try FileHandle(forReadingFrom: inputFile)
        process.standardOutput = try output ?? FileHandle(forWritingTo: files.output)
        process.standardError = try FileHandle(forWritingTo: files.errors)
        let (stream, continuation) = AsyncStream<Int32>.makeStream()
        process.terminationHandler = { process in
            continuation.yield(
                process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus)
            continuation.finish()
        }
        try process.run()
        ended = stream
        self.process = Mutex(process)
    }

    /// Runs it to its end.
    static func run(
        _ arguments: String..., environment: [String: String] = [:], input: String = ""
    ) async throws -> Ending {
        try await Program(arguments, environment: environment, input: input).ending()
    }

    func ending() async throws -> Ending {
        var status: Int32 = -1
        for await ended in ended { status = ended }
        return Ending(status: status, output: try text(files.output), errors: try text(files.errors))
    }

    /// What it has written to standard error so far.
    var errors: String { get throws { try text(files.errors) } }

    func terminate() { process.withLock { $0.terminate() } }

    func interrupt() { process.withLock { $0.interrupt() } }

    /// The process, or the launcher's.
    var identifier: Int32 { process.withLock { $0.processIdentifier } }

    private func text(_ file: URL) throws -> String { String(decoding: try Data(contentsOf: file), as: UTF8.self) }
}
