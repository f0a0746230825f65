// What libpq accepts in a URI and reads as something else than was meant: characters that had to be percent-encoded.

/// A check of a connection URI's form, stricter than libpq's.
///
/// libpq splits at the first `/` or `@`, wherever that stands. A password with one of them would become the name of a host
/// or of the database, and be shown as such.
enum ConnectionURI {
    /// Why the text can't be a URI as it was meant; `nil` if nothing is wrong with it, or it is no URI.
    static func problem(in text: String) -> String? {
        guard let scheme = ["postgresql://", "postgres://"].first(where: text.hasPrefix) else { return nil }
        let rest = text.dropFirst(scheme.count)
        let credentials = rest.prefix { $0 != "@" && $0 != "/" }
        var place = rest
        if credentials.endIndex < rest.endIndex, rest[credentials.endIndex] == "@" {
            place = rest[credentials.endIndex...].dropFirst()
        }
        // What follows the credentials has no @ but in the values of options, where one without credentials before it is
        // more likely to be their end.
        let options = place.firstIndex(of: "?") ?? place.endIndex
        let isSuspect = place[..<options].contains("@") || (place.startIndex == rest.startIndex && place.contains("@"))
        if isSuspect {
            return "It has a / or an @ where none can be: percent-encode those of the user and the password."
        }
        let hosts = place[..<options].prefix { $0 != "/" }
        for host in hosts.split(separator: ",") where !isPortSound(host) {
            return
                "A port in it isn't a number from 1 to 65535: percent-encode what is special in the user and the password."
        }
        return nil
    }

    private static func isPortSound(_ host: Substring) -> Bool {
        let name = host.hasPrefix("[") ? host.drop { $0 != "]" } : host
        guard let colon = name.firstIndex(of: ":") else { return true }
        let port = name[colon...].dropFirst()
        return port.isEmpty || (port.utf8.allSatisfy { (0x30...0x39).contains($0) } && (UInt16(port) ?? 0) > 0)
    }
}
