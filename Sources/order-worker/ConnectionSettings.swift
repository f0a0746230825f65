// The addresses of broker and database, from their settings and secret files.

internal import AMQP
internal import PostgreSQL

extension Settings {
    /// How to reach the broker.
    ///
    /// - Throws: ``Failure``, which never shows the URL.
    func amqp() throws -> AMQP.ConnectionConfiguration {
        let (text, origin) = try secret(.amqpURL, file: .amqpURLFile)
        let url = try withPassword(text, from: .amqpPasswordFile) { try ConnectionText.addPassword($1, toAMQP: $0) }
        var configuration: AMQP.ConnectionConfiguration
        do throws(AMQPError) {
            configuration = try AMQP.ConnectionConfiguration(uris: url)
        } catch {
            throw Failure(
                status: .configuration, message: "\(origin) can't be used: \(error.cause).",
                advice:
                    "Write it as amqp://user:password@host:port/vhost, and percent-encode special characters: / is %2F, @ is %40."
            )
        }
        try secure(&configuration)
        return configuration
    }

    /// Takes the settings for TLS up.
    private func secure(_ configuration: inout AMQP.ConnectionConfiguration) throws {
        if let file = try readable(.amqpAuthorities) { configuration.tls.certificateAuthorityFile = file }
        if let entry = entries[.amqpServerName] { configuration.tls.serverName = entry.value.description }
        switch (try readable(.amqpCertificate), try readable(.amqpKey)) {
        case (nil, nil): break
        case (let certificate?, let key?):
            configuration.tls.clientCertificate = .init(certificateFile: certificate, keyFile: key)
        case (let certificate, _):
            throw Self.missing(certificate == nil ? .amqpCertificate : .amqpKey)
        }
        let settings: [Setting] = [.amqpAuthorities, .amqpCertificate, .amqpServerName]
        if let used = settings.first(where: { entries[$0] != nil }), !configuration.addresses.contains(where: \.usesTLS)
        {
            let name = entries[used]?.origin.name(of: used) ?? used.key
            throw Failure(
                status: .configuration, message: "\(name) is set, but amqp.url doesn't ask for TLS.",
                advice: "Write the URL with amqps://.")
        }
    }

    /// The file that a setting names, if it is set.
    private func readable(_ setting: Setting) throws -> String? {
        guard let entry = entries[setting] else { return nil }
        let path = entry.value.description
        do {
            _ = try InputFile.read(path: path, maximumSize: 16 << 20, status: .configuration)
        } catch let failure as Failure {
            throw Failure(
                status: .configuration, message: "\(entry.origin.name(of: setting)): \(failure.message)",
                advice: failure.advice)
        }
        return path
    }

    /// How to reach the database.
    ///
    /// - Throws: ``Failure``, which never shows the URL.
    func database() throws -> PostgreSQL.ConnectionConfiguration {
        let (text, origin) = try secret(.databaseURL, file: .databaseURLFile)
        let url = try withPassword(text, from: .databasePasswordFile) {
            try ConnectionText.addPassword($1, toDatabase: $0)
        }
        do throws(PostgreSQLError) {
            var configuration = try PostgreSQL.ConnectionConfiguration(url: url)
            configuration.applicationName = "order-worker"
            return configuration
        } catch {
            throw Failure(
                status: .configuration, message: "\(origin) can't be used: \(error.message)", advice: error.advice)
        }
    }

    /// A secret from its setting or from the file that the other names, and what to call it in an error. The source of
    /// higher precedence counts.
    private func secret(_ setting: Setting, file: Setting) throws -> (text: String, origin: String) {
        switch (entries[setting], entries[file]) {
        case (nil, nil):
            throw Self.missing(setting)
        case (let direct?, let named?) where direct.origin == named.origin:
            throw Failure(
                status: .configuration,
                message: "\(direct.origin.name(of: setting)) and \(named.origin.name(of: file)) are both set.",
                advice: "Remove one of them.")
        case (let direct?, let named) where named.map({ direct.origin < $0.origin }) ?? true:
            return (try text(setting), direct.origin.name(of: setting))
        case (_, let named):
            let name = (named?.origin ?? .standard).name(of: file)
            return (try Self.readSecret(file, path: try text(file), name: name), "The URL in the file of \(name)")
        }
    }

    private func withPassword(
        _ url: String, from setting: Setting, _ add: (String, String) throws -> String
    ) throws -> String {
        guard let entry = entries[setting] else { return url }
        let name = entry.origin.name(of: setting)
        let password = try Self.readSecret(setting, path: try text(setting), name: name)
        do {
            return try add(url, password)
        } catch let problem as ConnectionText.Problem {
            throw Failure(status: .configuration, message: "\(name) can't be used: \(problem.text).")
        }
    }

    /// The file's text without the line break at its end.
    private static func readSecret(_ setting: Setting, path: String, name: String) throws -> String {
        let bytes: [UInt8]
        do {
            bytes = try InputFile.read(path: path, maximumSize: 65_536, status: .configuration)
        } catch let failure as Failure {
            throw Failure(status: .configuration, message: "\(name): \(failure.message)")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw Failure(status: .configuration, message: "\(name): \(path) isn't text.")
        }
        let secret = text.drop(while: \.isNewline)
        guard let end = secret.lastIndex(where: { !$0.isNewline }) else {
            throw Failure(status: .configuration, message: "\(name): \(path) is empty.")
        }
        return String(secret[...end])
    }
}

/// Puts passwords into connection strings that have none.
enum ConnectionText {
    struct Problem: Error {
        let text: String
    }

    /// - Parameter urls: one or several, separated by commas; each must name a user and have no password.
    static func addPassword(_ password: String, toAMQP urls: String) throws -> String {
        let parts = try urls.split(separator: ",", omittingEmptySubsequences: false).map { (url: Substring) in
            guard let start = url.firstRange(of: "://")?.upperBound else { return String(url) }
            let authority = url[start...].prefix { $0 != "/" }
            guard let at = authority.lastIndex(of: "@"), at != authority.startIndex else {
                throw Problem(text: "the URL names no user (amqp://user@host)")
            }
            if authority[..<at].contains(":") { throw Problem(text: "the URL has a password already") }
            return "\(url[..<at]):\(encoded(password))\(url[at...])"
        }
        return parts.joined(separator: ",")
    }

    /// - Parameter text: a URI or `key=value` pairs, without a password.
    static func addPassword(_ password: String, toDatabase text: String) throws -> String {
        let alreadyThere = Problem(text: "the connection string has a password already")
        guard let start = text.firstRange(of: "://")?.upperBound else {
            if text.firstMatch(of: /(^|\s)password\s*=/) != nil { throw alreadyThere }
            let quoted = password.replacing("\\", with: "\\\\").replacing("'", with: "\\'")
            return "\(text) password='\(quoted)'"
        }
        let authority = text[start...].prefix { $0 != "/" && $0 != "?" }
        if let at = authority.lastIndex(of: "@"), authority[..<at].contains(":") { throw alreadyThere }
        if text.firstMatch(of: /[?&]password=/) != nil { throw alreadyThere }
        return "\(text)\(text.contains("?") ? "&" : "?")password=\(encoded(password))"
    }

    /// With everything as %XX that isn't plain in a URL.
    static func encoded(_ text: String) -> String {
        let plain = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~".utf8)
        return text.utf8.map { byte in
            plain.contains(byte)
                ? String(Unicode.Scalar(byte)) : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
        }.joined()
    }
}
