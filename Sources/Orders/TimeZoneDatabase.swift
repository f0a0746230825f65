// Where the system keeps the time zones of the IANA database, and which names may be looked up there.

internal import Glibc

/// The system's time zone files.
enum TimeZoneDatabase {
    static let directory = "/usr/share/zoneinfo"
    /// In bytes. The largest file has less than 4 KiB.
    private static let maximumSize = 1 << 20

    /// Whether a name has the form `Area/Place` or `Area/Place/Place`, so that it can't lead out of the directory.
    ///
    /// Each part begins with a capital letter: `posix/` and `right/` hold copies of the files, not zones.
    static func isZoneName(_ name: String) -> Bool {
        let parts = name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        return (2...3).contains(parts.count)
            && parts.allSatisfy { part in
                part.first.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) } ?? false
                    && part.allSatisfy(isNameCharacter)
            }
    }

    /// The bytes of a zone's file; `nil` if the name has another form or there is no such readable file.
    static func file(ofZone name: String, in directory: String = directory) -> [UInt8]? {
        guard isZoneName(name) else { return nil }
        // Without O_NONBLOCK, opening a named pipe would wait for its writer.
        let descriptor = open("\(directory)/\(name)", O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size <= maximumSize
        else { return nil }
        let size = Int(status.st_size)
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            while count < size {
                let rest = UnsafeMutableBufferPointer(rebasing: buffer[count...])
                let got = read(descriptor, rest.baseAddress, rest.count)
                if got < 0 && errno == EINTR { continue }
                guard got > 0 else { return }
                count += got
            }
        }
        return bytes.count == size ? bytes : nil
    }

    private static func isNameCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "+"):
            true
        default: false
        }
    }
}
