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
        isZoneName(name) ? contents(of: "\(directory)/\(name)") : nil
    }

    /// What a zone's name stands for now, by the database's own list of names (`tzdata.zi`): the name itself where it isn't
    /// an earlier or another one. The list is there also where the files of earlier names are in a package of their own.
    static func presentName(of name: String, in directory: String = directory) -> String {
        guard let list = contents(of: "\(directory)/tzdata.zi") else { return name }
        var targets: [Substring: Substring] = [:]
        for line in String(decoding: list, as: UTF8.self).split(separator: "\n") where line.hasPrefix("L ") {
            let words = line.split(separator: " ")
            if words.count == 3 { targets[words[2]] = words[1] }
        }
        var present = Substring(name)
        // A link can lead to another one; more of them than this would be a circle.
        for _ in 0..<8 {
            guard let target = targets[present] else { break }
            present = target
        }
        return String(present)
    }

    /// The bytes of a regular file of moderate size.
    private static func contents(of path: String) -> [UInt8]? {
        // Without O_NONBLOCK, opening a named pipe would wait for its writer.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
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
