// Where the worker of this container serves its pages, whatever options it was started with.

internal import FoundationEssentials
internal import Glibc

/// Finds the listening socket of the worker that a container runs.
enum RunningWorker {
    struct Address: Equatable {
        let host: String
        let port: Int
    }

    /// Its address; `nil` outside of a container, or where the worker doesn't listen.
    static func address() -> Address? {
        guard let own = target("/proc/self/exe") else { return nil }
        var candidates: [Int32] = [1]
        // An init that a container's runtime puts before the program (`docker run --init`).
        let name = text("/proc/1/comm") ?? ""
        if ["docker-init", "tini", "dumb-init", "catatonit"].contains(name.prefix { $0 != "\n" }) {
            candidates += processes().filter { parent(of: $0) == 1 }
        }
        for process in candidates where process != getpid() && target("/proc/\(process)/exe") == own {
            let sockets = sockets(of: process)
            for file in ["tcp", "tcp6"] {
                guard let table = text("/proc/\(process)/net/\(file)") else { continue }
                if let address = listening(table, among: sockets) { return address }
            }
        }
        return nil
    }

    /// The kernel gives such a file in pieces, of which Foundation reads only the first.
    private static func text(_ path: String) -> String? {
        (try? InputFile.read(path: path, maximumSize: 1 << 24, status: .trouble)).map {
            String(decoding: $0, as: UTF8.self)
        }
    }

    private static func processes() -> [Int32] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { Int32($0) }
    }

    private static func parent(of process: Int32) -> Int32? {
        guard let text = text("/proc/\(process)/stat"), let end = text.lastIndex(of: ")")
        else { return nil }
        let fields = text[end...].split(separator: " ")
        return fields.count > 2 ? Int32(fields[2]) : nil
    }

    private static func target(_ link: String) -> String? {
        var bytes = [CChar](repeating: 0, count: 4096)
        let count = readlink(link, &bytes, bytes.count)
        guard count > 0 else { return nil }
        return String(decoding: bytes[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The numbers of the sockets that a process has open.
    private static func sockets(of process: Int32) -> Set<String> {
        let folder = "/proc/\(process)/fd"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return Set(
            names.compactMap { name in
                guard let target = target("\(folder)/\(name)"), target.hasPrefix("socket:[") else { return nil }
                return String(target.dropFirst("socket:[".count).dropLast())
            })
    }

    /// The first listening socket of a table in the form of `/proc/net/tcp` that is one of these.
    static func listening(_ table: String, among sockets: Set<String>) -> Address? {
        for line in table.split(separator: "\n").dropFirst() {
            let fields = line.split(separator: " ")
            // 0A is the state of a socket that listens.
            guard fields.count > 9, fields[3] == "0A", sockets.contains(String(fields[9])) else { continue }
            let local = fields[1].split(separator: ":")
            guard local.count == 2, let port = Int(local[1], radix: 16), let host = host(local[0]) else { continue }
            return Address(host: host, port: port)
        }
        return nil
    }

    /// The kernel writes each 32 bits as a number of the machine's own byte order.
    private static func host(_ text: Substring) -> String? {
        var words: [UInt32] = []
        var rest = text
        while !rest.isEmpty {
            guard let word = UInt32(rest.prefix(8), radix: 16) else { return nil }
            words.append(word)
            rest = rest.dropFirst(8)
        }
        guard words.count == 1 || words.count == 4 else { return nil }
        let isAny = words.allSatisfy { $0 == 0 }
        if isAny { return words.count == 1 ? "127.0.0.1" : "::1" }
        var shown = [CChar](repeating: 0, count: 64)
        let family = words.count == 1 ? AF_INET : AF_INET6
        guard inet_ntop(family, &words, &shown, socklen_t(shown.count)) != nil else { return nil }
        return String(decoding: shown.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
