// One broker to connect to, read from an AMQP URL.

/// Where a broker is and who connects to it.
///
/// Its description and its reflection never show the password.
public struct BrokerAddress: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
    public let host: String
    public let port: Int
    public let user: String
    public let virtualHost: String
    /// Whether the connection is encrypted (`amqps`).
    public let usesTLS: Bool
    let password: String

    /// The URL without the password, for people and logs.
    public var description: String {
        let shownHost = host.contains(":") ? "[\(host)]" : host
        let path = virtualHost == "/" ? "" : "/\(Self.percentEncoded(virtualHost))"
        return "\(usesTLS ? "amqps" : "amqp")://\(Self.percentEncoded(user))@\(shownHost):\(port)\(path)"
    }

    public var customMirror: Mirror {
        Mirror(self, children: ["description": description])
    }

    /// Reads `amqp://user:password@host:port/vhost` or `amqps://…`.
    ///
    /// What is left out is `guest`, `guest`, 5672 (5671 with TLS) and the virtual host `/`. User, password and virtual
    /// host are percent-decoded; an IPv6 address stands in brackets.
    ///
    /// - Throws: ``AMQPError`` with the code `invalidArgument`. The text never repeats the URL, which may hold a password.
    init(url: String) throws(AMQPError) {
        var rest = Substring(url)
        if rest.hasPrefix("amqp://") {
            usesTLS = false
            rest = rest.dropFirst("amqp://".count)
        } else if rest.hasPrefix("amqps://") {
            usesTLS = true
            rest = rest.dropFirst("amqps://".count)
        } else {
            throw Self.malformed("it doesn't start with amqp:// or amqps://")
        }
        if rest.contains("?") || rest.contains("#") {
            throw Self.malformed("it has a query or a fragment, which aren't supported (encode ? as %3F and # as %23)")
        }

        let authority = rest.prefix { $0 != "/" }
        let path = rest.dropFirst(authority.count).dropFirst()
        // Where there is none, the / that ended the authority may well have been the password's.
        if path.contains("@") || (path.contains("/") && !authority.contains("@")) {
            throw Self.malformed(
                "it has a / or an @ where none can be: percent-encode those of the user and the password")
        }
        if path.contains("/") { throw Self.malformed("its virtual host has a slash, which must be written %2F") }
        virtualHost = path.isEmpty ? "/" : try Self.percentDecoded(path, in: "virtual host")

        var location = authority
        if let at = authority.lastIndex(of: "@") {
            let credentials = authority[..<at]
            location = authority[authority.index(after: at)...]
            if credentials.contains("@") { throw Self.malformed("its password has an @, which must be written %40") }
            let userText = credentials.prefix { $0 != ":" }
            user = try Self.percentDecoded(userText, in: "user")
            password = try Self.percentDecoded(credentials.dropFirst(userText.count).dropFirst(), in: "password")
        } else {
            user = "guest"
            password = "guest"
        }

        let portText: Substring
        if location.hasPrefix("[") {
            guard let end = location.firstIndex(of: "]") else { throw Self.malformed("its [ has no ]") }
            host = String(location[location.index(after: location.startIndex)..<end])
            let tail = location[location.index(after: end)...]
            guard tail.isEmpty || tail.hasPrefix(":") else { throw Self.malformed("something follows its ]") }
            portText = tail.dropFirst()
        } else {
            let hostText = location.prefix { $0 != ":" }
            host = String(hostText)
            portText = location.dropFirst(hostText.count).dropFirst()
        }
        guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
            throw Self.malformed("it names no host")
        }
        if portText.isEmpty {
            port = usesTLS ? 5671 : 5672
        } else if portText.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt16(portText), number > 0 {
            port = Int(number)
        } else {
            throw Self.malformed(
                "its port isn't a number from 1 to 65535: percent-encode what is special in the user and the password")
        }
    }

    private static func malformed(_ reason: String) -> AMQPError {
        AMQPError(.invalidArgument, during: "reading an AMQP URL", cause: reason)
    }

    private static func percentDecoded(_ text: Substring, in part: String) throws(AMQPError) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%") {
                guard let high = rest.popFirst().flatMap(hexDigit), let low = rest.popFirst().flatMap(hexDigit) else {
                    throw malformed("its \(part) has a % that isn't followed by two hexadecimal digits")
                }
                bytes.append(high << 4 | low)
            } else {
                bytes.append(byte)
            }
        }
        // librabbitmq takes these texts as C strings.
        guard !bytes.contains(0), let decoded = String(validating: bytes, as: UTF8.self) else {
            throw malformed("its \(part) isn't text")
        }
        return decoded
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        Character(UnicodeScalar(byte)).hexDigitValue.map(UInt8.init)
    }

    private static func percentEncoded(_ text: String) -> String {
        let hexadecimal = Array("0123456789ABCDEF")
        return text.utf8.reduce(into: "") { result, byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E:
                result.append(Character(UnicodeScalar(byte)))
            default:
                result += "%\(hexadecimal[Int(byte >> 4)])\(hexadecimal[Int(byte & 15)])"
            }
        }
    }
}
