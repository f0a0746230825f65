// Takes out of log lines what nobody should read there.

/// Replaces e-mail addresses, and the passwords in URLs.
enum Redaction {
    static func redacted(_ text: String) -> String {
        // Both have an @ in them; most lines have none.
        guard text.utf8.contains(UInt8(ascii: "@")) else { return text }
        let withoutPasswords = text.replacing(/:\/\/([^\s:@\/]*):[^\s]*@/) { "://\($0.1):…@" }
        return withoutPasswords.replacing(/[A-Za-z0-9.!#$%&'*+=?^_`{|}~\-]+@[A-Za-z0-9\-.]*[A-Za-z0-9]/) { match in
            // What follows the slashes of a URL is the user and host of a server.
            withoutPasswords[..<match.range.lowerBound].hasSuffix("//") ? String(match.0) : "[e-mail]"
        }
    }
}
