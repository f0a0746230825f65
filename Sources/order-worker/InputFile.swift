// Reads a whole file, or standard input, up to a limit.

internal import Foundation

enum InputFile {
    /// - Parameters:
    ///   - path: `-` for standard input.
    ///   - status: what the process ends with if the file can't be read.
    /// - Throws: ``Failure`` if it can't be read or is larger than `maximumSize` bytes.
    static func read(path: String, maximumSize: Int, status: ExitStatus) throws -> [UInt8] {
        let name = path == "-" ? "standard input" : path
        let data: Data
        do {
            let handle =
                path == "-" ? FileHandle.standardInput : try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            defer { if path != "-" { try? handle.close() } }
            var read = Data()
            while let part = try handle.read(upToCount: 1 << 20), !part.isEmpty, read.count <= maximumSize {
                read.append(part)
            }
            data = read
        } catch {
            throw Failure(status: status, message: "\(name) can't be read: \(reason(error)).")
        }
        guard data.count <= maximumSize else {
            throw Failure(status: status, message: "\(name) is larger than \(maximumSize) bytes.")
        }
        return [UInt8](data)
    }

    /// Foundation's texts go round the matter; the system's own name it.
    private static func reason(_ error: any Error) -> String {
        let cocoa = error as NSError
        let underlying = cocoa.userInfo[NSUnderlyingErrorKey] as? NSError
        for error in [underlying, cocoa] {
            guard let error else { continue }
            if error.domain == NSPOSIXErrorDomain { return String(cString: strerror(Int32(error.code))) }
        }
        switch CocoaError.Code(rawValue: cocoa.code) {
        case .fileReadNoSuchFile, .fileNoSuchFile: return "there is no such file"
        case .fileReadNoPermission: return "permission denied"
        default: return cocoa.localizedDescription
        }
    }
}
