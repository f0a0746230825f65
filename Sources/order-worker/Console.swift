// Standard output and standard error, line by line.

internal import Glibc

enum Console {
    /// Prints a result. It is written at once, so that a reader at the other end of a pipe doesn't wait.
    static func print(_ line: String) {
        write(Array((line + "\n").utf8), to: 1)
    }

    /// Prints a word to the person who started the command.
    static func error(_ line: String) {
        write(Array((line + "\n").utf8), to: 2)
    }

    /// Prints on the terminal's current line, which the next call overwrites; nothing where there is no terminal.
    static func progress(_ text: String) {
        guard isatty(2) == 1 else { return }
        write(Array("\r\(text)\u{1B}[K".utf8), to: 2)
    }

    /// Writes all bytes, or as many as the reader takes before it goes.
    static func write(_ bytes: [UInt8], to descriptor: Int32) {
        bytes.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count < 0 && errno == EINTR { continue }
                if count <= 0 { return }
                rest = rest.dropFirst(count)
            }
        }
    }
}
