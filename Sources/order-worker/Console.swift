// Standard output and standard error, line by line.

internal import Glibc

/// Results go to standard output. One that can't be written whole ends the program: a report that is cut off must never
/// look like a short one, and what has been done by then is safe, since every command may be ended at any time.
enum Console {
    /// Prints a result. It is written at once, so that a reader at the other end of a pipe doesn't wait.
    static func print(_ line: String) {
        printBytes(Array((line + "\n").utf8))
    }

    /// Prints a result that is bytes.
    static func printBytes(_ bytes: [UInt8]) {
        if let error = write(bytes, to: 1) { end(error) }
    }

    /// Prints a word to the person who started the command.
    static func error(_ line: String) {
        // There is nowhere else to say that it can't be written.
        _ = write(Array((line + "\n").utf8), to: 2)
    }

    /// Prints on the terminal's current line, which the next call overwrites; nothing where there is no terminal.
    static func progress(_ text: String) {
        guard isatty(2) == 1 else { return }
        _ = write(Array("\r\(text)\u{1B}[K".utf8), to: 2)
    }

    /// How many characters a line of the terminal has that results go to; `nil` where they go elsewhere.
    static var width: Int? {
        guard isatty(1) == 1 else { return nil }
        var size = winsize()
        return ioctl(1, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
    }

    /// Asks the system for errors of what was printed that it has kept back, as it does with a file on a network's disk.
    static func finish() {
        // Closing any descriptor of the file tells; the descriptor itself stays, so that no other takes its number.
        let copy = dup(1)
        if copy >= 0, close(copy) != 0, errno != EINTR { end(errno) }
    }

    /// Has a descriptor of the three that the program was started without fail instead of being somebody's socket.
    static func holdClosedStreams() {
        for descriptor: Int32 in 0...2 where fcntl(descriptor, F_GETFD) == -1 {
            // The lowest free number is given, which is this one. It can't be used in the way that it is meant for.
            _ = open("/dev/null", (descriptor == 0 ? O_WRONLY : O_RDONLY) | O_CLOEXEC)
        }
    }

    /// Writes all bytes.
    ///
    /// - Returns: the system's error number if it doesn't take them all; `nil` if it did.
    static func write(_ bytes: [UInt8], to descriptor: Int32) -> Int32? {
        bytes.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count > 0 {
                    rest = rest.dropFirst(count)
                    continue
                }
                switch count == 0 ? EIO : errno {
                case EINTR: continue
                case EAGAIN:
                    // Somebody who shares the other end made it one that doesn't wait.
                    var state = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    _ = poll(&state, 1, -1)
                case let error: return error
                }
            }
            return nil
        }
    }

    private static func end(_ error: Int32) -> Never {
        // Who closes a pipe has seen enough. The status is that of a process that the pipe's signal ended.
        if error == EPIPE { _exit(ExitStatus.signal(SIGPIPE)) }
        self.error("error: standard output can't be written: \(String(cString: strerror(error))). It is cut off.")
        _exit(ExitStatus.trouble.rawValue)
    }
}
