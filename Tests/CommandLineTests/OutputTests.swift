// What the program does when its results can't be written. Commands that need a server are tried in Tests/System.

import Foundation
import Testing

@testable import order_worker

@Suite("Output that can't be written", .timeLimit(.minutes(2)))
struct OutputTests {
    private static let command =
        #"{"type":"auto-renewal.set","data":{"customerId":"018f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b10"}}"#

    @Test(
        "Output onto a full disk (/dev/full) is never a success, and is said",
        arguments: [
            "--help", "--version", "help run", "run --help", "run --print-config", "run --print-settings",
            "contract asyncapi",
            "contract codes", "contract schema", "contract schema order", "contract check", "publish --dry-run -",
            "--generate-completion-script bash",
        ])
    func fullDisk(arguments: String) async throws {
        let full = try #require(FileHandle(forWritingAtPath: "/dev/full"))
        let words = arguments.replacing("schema order", with: "schema subscription.order").split(separator: " ")
        let ending = try await Program(words.map(String.init), input: Self.command + "\n", output: full).ending()
        #expect(ending.status == 2)
        #expect(ending.errors.contains("No space left on device"))
    }

    @Test("A closed pipe ends the program quietly, and not as a success")
    func closedPipe() async throws {
        let pipe = Pipe()
        try pipe.fileHandleForReading.close()
        let ending = try await Program(["contract", "asyncapi"], output: pipe.fileHandleForWriting).ending()
        #expect(ending.status == 128 + 13)
        #expect(ending.errors.isEmpty)
    }

    @Test("A closed standard output is no success either, and nobody else gets its descriptor")
    func closedOutput() async throws {
        let ending = try await Program(
            ["contract", "codes"], launcher: ["/bin/sh", "-c", #"exec "$0" "$@" >&-"#]
        ).ending()
        #expect(ending.status == 2)
        #expect(ending.errors.contains("Bad file descriptor"))
    }

    @Test("A pipe that someone made non-blocking gets everything all the same")
    func nonBlockingPipe() async throws {
        let pipe = Pipe()
        let descriptor = pipe.fileHandleForWriting.fileDescriptor
        #expect(fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0)
        // Two members are wrong with each: three times what a pipe holds.
        let lines = String(repeating: Self.command + "\n", count: 1500)
        let program = try Program(["publish", "--dry-run", "-"], input: lines, output: pipe.fileHandleForWriting)
        try pipe.fileHandleForWriting.close()
        try await Task.sleep(for: .milliseconds(300))
        let output = try await Task { try pipe.fileHandleForReading.readToEnd() ?? Data() }.value
        #expect(try await program.ending().status == 1)
        #expect(output.split(separator: UInt8(ascii: "\n")).count == 3000)
    }
}
