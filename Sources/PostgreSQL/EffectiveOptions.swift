// What libpq makes of a connection string together with its environment variables and its service file.

internal import CLibPQ

/// Options as libpq would use them. It tells them of a connection alone, so one is begun that can't go anywhere.
enum EffectiveOptions {
    /// Reads them.
    ///
    /// - Parameter given: what the connection string says.
    /// - Returns: the hosts, the ports and the session's options, among others.
    /// - Throws: ``Refusal`` when libpq can't use the options as they are, whatever server there may be.
    static func read(_ given: [String: String]) throws(Refusal) -> [String: String] {
        // Without a port that is a number libpq goes no further than to its options. That hides the real one, for which no
        // host is needed: a socket in a folder that doesn't exist.
        var (options, message) = begin(given.merging(["port": noPort]) { $1 })
        guard options["port"] == noPort, message.contains("\"\(noPort)\"") else { throw Refusal(message: message) }
        let nowhere = ["host": "/nonexistent/order-worker", "hostaddr": ""]
        options["port"] = begin(given.merging(nowhere) { $1 }).options["port"]
        return options
    }

    struct Refusal: Error {
        let message: String
    }

    private static let noPort = "none"

    private static func begin(_ parameters: [String: String]) -> (options: [String: String], message: String) {
        let pairs = Array(parameters)
        let started = CStringList(pairs.map(\.key)).withPointers { keywords in
            CStringList(pairs.map(\.value)).withPointers { values in PQconnectStartParams(keywords, values, 0) }
        }
        guard let started else { return ([:], "There is no memory left.") }
        defer { PQfinish(started) }
        var options: [String: String] = [:]
        if let list = PQconninfo(started) {
            defer { PQconninfoFree(list) }
            options = read(list)
        }
        return (options, ConnectionHandle.sentence(PQerrorMessage(started)))
    }

    /// The options of libpq's list that have a value.
    static func read(_ list: UnsafeMutablePointer<PQconninfoOption>) -> [String: String] {
        var options: [String: String] = [:]
        var option = list
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { options[String(cString: keyword)] = String(cString: value) }
            option += 1
        }
        return options
    }
}
