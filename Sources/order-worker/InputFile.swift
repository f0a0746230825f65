// Reads a whole file, or standard input, up to a limit.

internal import SystemPackage

enum InputFile {
    /// - Parameters:
    ///   - path: `-` for standard input.
    ///   - status: what the process ends with if the file can't be read.
    /// - Throws: ``Failure`` if it can't be read or is larger than `maximumSize` bytes.
    static func read(path: String, maximumSize: Int, status: ExitStatus) throws -> [UInt8] {
        let name = path == "-" ? "standard input" : path
        var bytes: [UInt8] = []
        do {
            if path == "-" {
                bytes = try read(.standardInput, maximumSize: maximumSize)
            } else {
                let file = try FileDescriptor.open(FilePath(path), .readOnly, options: .closeOnExec)
                bytes = try file.closeAfter { try read(file, maximumSize: maximumSize) }
            }
        } catch let error as Errno {
            throw Failure(status: status, message: "\(name) can't be read: \(error).")
        }
        guard bytes.count <= maximumSize else {
            throw Failure(status: status, message: "\(name) is larger than \(maximumSize) bytes.")
        }
        return bytes
    }

    /// All there is, or a little more than `maximumSize` bytes.
    private static func read(_ file: FileDescriptor, maximumSize: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 1 << 16)
        while bytes.count <= maximumSize {
            let count = try part.withUnsafeMutableBytes { try file.read(into: $0) }
            if count == 0 { break }
            bytes += part[..<count]
        }
        return bytes
    }
}
