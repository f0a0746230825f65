// Reads a whole file, or standard input, up to a limit.

internal import SystemPackage

enum InputFile {
    /// - Parameters:
    ///   - path: `-` for standard input.
    ///   - status: what the process ends with if the file can't be read.
    /// - Throws: ``Failure`` if it can't be read, is larger than `maximumSize` bytes, or begins with a byte order mark.
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
        if let mark = byteOrderMark(bytes) {
            throw Failure(
                status: status, message: "\(name) begins with a byte order mark (\(mark)).",
                advice: "Save it as UTF-8 without one.")
        }
        return bytes
    }

    /// What the text is encoded in, if it says so by such a mark.
    static func byteOrderMark(_ bytes: [UInt8]) -> String? {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { return "UTF-8 with BOM" }
        return bytes.starts(with: [0xFE, 0xFF]) || bytes.starts(with: [0xFF, 0xFE]) ? "UTF-16" : nil
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
