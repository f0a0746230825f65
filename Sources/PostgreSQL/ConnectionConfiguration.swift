// Where the database is and how long to wait for it: a libpq connection string with bounds on every wait.

internal import CLibPQ
internal import Glibc
internal import SocketExecutor

/// How to reach the database.
///
/// Defaults that the connection string may override: `keepalives_idle=10`, `keepalives_interval=5`, `keepalives_count=3`,
/// `tcp_user_timeout=20000`, so that a dead network is noticed within 25 seconds on either side (the server's side is set
/// by `options`, before those of the string, the service file or `PGOPTIONS`); beyond this machine `sslmode=verify-full`, with
/// the system's authorities; `client_encoding` is always UTF-8, the session's time zone UTC.
public struct ConnectionConfiguration: Sendable {
    /// The session's name in `pg_stat_activity`. Overrides the connection string's.
    public var applicationName: String?
    /// The longest wait for one server, from the look-up of its name to a usable session; the addresses of the name share it.
    /// `connect_timeout`, else 10 seconds.
    public var connectTimeout: Duration
    /// The longest that the server works on one statement (its `statement_timeout`). A call that isn't answered five
    /// seconds after this time ends the connection. 60 seconds; at least 1 millisecond.
    public var statementTimeout: Duration = .seconds(60)

    /// What the connection string says.
    private let given: [String: String]
    /// The same with what libpq's environment variables, its service file and its defaults say.
    private let effective: [String: String]
    /// How host names are looked up.
    var lookUp = HostAddresses.systemLookUp

    /// The file of the client's certificate, where there is one.
    public var certificateFile: String? { effective["sslcert"].flatMap { $0.isEmpty ? nil : $0 } }
    /// The file of the authorities that may sign the server's certificate, where one is named.
    public var authorityFile: String? { effective["sslrootcert"].flatMap { ["", "system"].contains($0) ? nil : $0 } }

    /// Reads a libpq connection string.
    ///
    /// - Parameter url: a URI (`postgresql://user:password@host1:5432,host2:5432/name?target_session_attrs=read-write`)
    ///   or `key=value` pairs. What it doesn't say comes from libpq's own environment variables and defaults.
    /// - Throws: `.invalidConfiguration`.
    public init(url: String) throws(PostgreSQLError) {
        if let problem = ConnectionURI.problem(in: url) { throw Self.invalid(problem) }
        var text: UnsafeMutablePointer<CChar>?
        guard let options = PQconninfoParse(url, &text) else {
            defer { PQfreemem(text) }
            throw Self.invalid(Self.withoutQuotedParts(ConnectionHandle.sentence(text)))
        }
        defer { PQconninfoFree(options) }
        let given = EffectiveOptions.read(options)
        self.given = given
        do throws(EffectiveOptions.Refusal) {
            effective = try EffectiveOptions.read(given)
        } catch {
            throw Self.invalid(Self.withoutQuotedParts(error.message))
        }
        self.connectTimeout = .seconds(10)
        if let text = effective["connect_timeout"], !text.isEmpty {
            guard let seconds = Int32(text) else {
                throw Self.invalid("connect_timeout isn't a whole number of seconds.")
            }
            // To libpq zero or less means for ever, which nothing here waits.
            if seconds > 0 { connectTimeout = .seconds(seconds) }
        }
        let ports = Self.list(effective["port"])
        let hosts = max(1, Self.list(effective["host"]).count, Self.list(effective["hostaddr"]).count)
        if ports.count > 1 && ports.count != hosts {
            throw Self.invalid("It has \(ports.count) ports for \(hosts) hosts.")
        }
    }

    // MARK: What libpq is told

    /// One server to try.
    struct Attempt {
        let server: String
        /// The name whose addresses have to be looked up and tried one by one; nil for an address or a socket.
        let name: String?
        var parameters: [String: String]
    }

    /// The servers in the order to try them in. libpq would go through the list itself, but when driven without blocking
    /// it has no time limit for each server, and one that answers nothing would hide the others.
    var attempts: [Attempt] {
        let names = Self.list(effective["host"])
        let addresses = Self.list(effective["hostaddr"])
        let ports = Self.list(effective["port"])
        let count = max(names.count, addresses.count, 1)
        var order = Array(0..<count)
        if effective["load_balance_hosts"] == "random" { order.shuffle() }
        let wanted = effective["target_session_attrs"]
        let passes = wanted == "prefer-standby" && count > 1 ? ["standby", "any"] : [wanted]
        return passes.flatMap { wanted in
            order.map { index in
                var parameters = common
                parameters["target_session_attrs"] = wanted
                let name = index < names.count ? names[index] : nil
                let address = index < addresses.count ? addresses[index] : nil
                let port = ports.count == 1 ? ports[0] : index < ports.count ? ports[index] : nil
                // An empty text is to libpq as if nothing had been said; nothing would be what the environment says.
                parameters["host"] = name ?? ""
                parameters["hostaddr"] = address ?? ""
                parameters["port"] = port ?? ""
                let isPortPlain = given["port"] == nil && port == "5432"
                let place = [name ?? address ?? "the default host", isPortPlain ? "" : port ?? ""]
                let server = place.filter { !$0.isEmpty }.joined(separator: ":")
                let isName =
                    address?.isEmpty ?? true && name.map { !$0.isEmpty && !"/@".contains($0.prefix(1)) } ?? false
                return Attempt(server: server, name: isName ? name : nil, parameters: parameters)
            }
        }
    }

    private var common: [String: String] {
        var parameters = [
            "keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "3", "tcp_user_timeout": "20000",
        ]
        parameters.merge(given) { _, given in given }
        parameters["client_encoding"] = "UTF8"
        parameters["load_balance_hosts"] = nil
        if let applicationName { parameters["application_name"] = applicationName }
        let options = [
            "-c statement_timeout=\(statementTimeout.settingMilliseconds)",
            "-c timezone=UTC -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3",
            effective["options"],
        ]
        parameters["options"] = options.compactMap(\.self).joined(separator: " ")
        return parameters
    }

    /// The parameters with what secures the connection where nobody has said how.
    ///
    /// libpq's own default takes a plain connection when it can't have another, and any certificate. That is right only for
    /// what stays on this machine.
    ///
    /// - Parameter address: where the connection goes, numeric; empty where libpq knows by itself.
    func secured(_ parameters: [String: String], at address: String) -> [String: String] {
        var parameters = parameters
        let numbers = address.isEmpty ? parameters["hostaddr"] ?? "" : address
        let place = numbers.isEmpty ? parameters["host"] ?? "" : numbers
        if !isSecuritySaid, !place.isEmpty, !"/@".contains(place.prefix(1)), !Self.isLoopback(place) {
            parameters["sslmode"] = "verify-full"
            if parameters["host"]?.isEmpty ?? true { parameters["host"] = place }
        }
        let mode = parameters["sslmode"] ?? effective["sslmode"] ?? ""
        if mode.hasPrefix("verify"), effective["sslrootcert"] == nil, let file = Self.systemAuthorities {
            parameters["sslrootcert"] = file
        }
        return parameters
    }

    /// The file of the authorities that libpq trusts with these parameters.
    func authorities(of parameters: [String: String]) -> String? {
        if let file = parameters["sslrootcert"] ?? effective["sslrootcert"] { return file }
        return getenv("HOME").map { String(cString: $0) + "/.postgresql/root.crt" }
    }

    private var isSecuritySaid: Bool {
        let variable = getenv("PGSSLMODE").map { $0[0] != 0 } ?? false
        return given["sslmode"] != nil || variable || (effective["sslmode"] ?? "prefer") != "prefer"
    }

    private static func isLoopback(_ address: String) -> Bool {
        var (four, six) = (in_addr(), in6_addr())
        if inet_pton(AF_INET, address, &four) == 1 { return address.hasPrefix("127.") }
        return inet_pton(AF_INET6, address, &six) == 1 && (address == "::1" || address.hasPrefix("::ffff:127."))
    }

    /// The system's certificate authorities, where the user has none for PostgreSQL (`~/.postgresql/root.crt`).
    private static var systemAuthorities: String? {
        if let home = getenv("HOME"), access(String(cString: home) + "/.postgresql/root.crt", R_OK) == 0 { return nil }
        return ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"]
            .first { access($0, R_OK) == 0 }
    }

    /// A comma-separated list of libpq's, in which an empty item has a meaning; empty when nothing was given.
    private static func list(_ text: String?) -> [String] {
        guard let text, !text.isEmpty else { return [] }
        return text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }

    // MARK: Errors without secrets

    private static func invalid(_ message: String) -> PostgreSQLError {
        PostgreSQLError(
            .invalidConfiguration, during: "reading the connection string", message,
            advice:
                "Write it as postgresql://user:password@host:port/database, and percent-encode special characters: / is %2F, @ is %40.",
            isConnectionUsable: false)
    }

    /// libpq quotes what it can't parse, which may be a piece of the password, and may have quotes itself.
    private static func withoutQuotedParts(_ text: String) -> String {
        guard let first = text.firstIndex(of: "\""), let last = text.lastIndex(of: "\""), first < last else {
            return text
        }
        return "\(text[...first])…\(text[last...])"
    }
}

extension ConnectionConfiguration: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Where it connects to and as whom; never the password.
    public var description: String {
        let hosts = attempts.map(\.server)
        let distinct = hosts.enumerated().filter { hosts.firstIndex(of: $0.element) == $0.offset }.map(\.element)
        let user = given["user"].map { "\($0)@" } ?? ""
        let database = given["dbname"].map { "/\($0)" } ?? ""
        return "postgresql://\(user)\(distinct.joined(separator: ","))\(database)"
    }

    public var debugDescription: String { description }

    /// Keeps the password out of `dump`.
    public var customMirror: Mirror { Mirror(self, children: ["description": description]) }
}
