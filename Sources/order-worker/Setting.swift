// The one table of everything that can be configured: `--help`, `--print-config` and the README are made from it.

/// A setting. Its raw value is its key in the configuration file, a path of names.
enum Setting: String, CaseIterable, Sendable {
    case amqpURL = "amqp.url"
    case amqpURLFile = "amqp.url.file"
    case amqpPasswordFile = "amqp.password.file"
    case amqpAuthorities = "amqp.tls.ca.file"
    case amqpCertificate = "amqp.tls.certificate.file"
    case amqpKey = "amqp.tls.key.file"
    case amqpServerName = "amqp.tls.server.name"
    case managementURL = "rabbitmq.management.url"
    case databaseURL = "database.url"
    case databaseURLFile = "database.url.file"
    case databasePasswordFile = "database.password.file"
    case partitions
    case lanes
    case batchLimit = "batch.limit"
    case messageSizeLimit = "message.size.limit"
    case commandAge = "command.age"
    case authorization
    case drainTimeout = "drain.timeout"
    case httpHost = "http.host"
    case httpPort = "http.port"
    case logLevel = "log.level"
    case logFormat = "log.format"
    case wait

    var key: String { rawValue }

    /// `amqp.url` is `AMQP_URL`.
    var environmentVariable: String { key.uppercased().replacing(".", with: "_") }

    /// `amqp.url` is `--amqp-url`.
    var optionName: String { key.replacing(".", with: "-") }

    /// What it says, in one place.
    private var definition: Definition {
        switch self {
        case .amqpURL:
            Definition(
                .text, "Broker: amqp[s]://USER:PASSWORD@HOST:PORT/VHOST; several of a cluster separated by commas.",
                isSecret: true)
        case .amqpURLFile: Definition(.text, "File that holds amqp.url.")
        case .amqpPasswordFile: Definition(.text, "File that holds the password, for an amqp.url without one.")
        case .managementURL:
            Definition(
                .text,
                "RabbitMQ's management API, http://USER:PASSWORD@HOST:15672, by which policies and bindings are checked.",
                isSecret: true)
        case .amqpAuthorities:
            Definition(
                .text, "File of the authorities (PEM) that may sign the broker's certificate; else the system's.")
        case .amqpCertificate:
            Definition(
                .text, "File of the client's own certificate (PEM); with an amqp.url without password also the login.")
        case .amqpKey: Definition(.text, "File of the key that belongs to it (PEM, without a pass phrase).")
        case .amqpServerName:
            Definition(.text, "Whom the broker's certificate must be for, if not the host of amqp.url.")
        case .databaseURL:
            Definition(
                .text,
                "Database: postgresql://USER:PASSWORD@HOST:PORT/NAME, or any libpq connection string. Beyond this machine "
                    + "sslmode is verify-full unless it says otherwise.",
                isSecret: true)
        case .databaseURLFile: Definition(.text, "File that holds database.url.")
        case .databasePasswordFile: Definition(.text, "File that holds the password, for a database.url without one.")
        case .partitions:
            Definition(
                .integer(1...100),
                "Number of partitions: for topology apply to make (8 at first), for a worker to insist on.")
        case .lanes:
            Definition(.integer(1...64), "Lanes of a worker, each with a database session of its own.", default: "2")
        case .batchLimit:
            Definition(.integer(1...10_000), "How many commands one database transaction may take.", default: "500")
        case .messageSizeLimit:
            Definition(
                .integer(1024...16_777_216), "Bytes; a larger message is dead-lettered.", default: "262144")
        case .commandAge:
            Definition(
                .duration(.zero ... .seconds(366 * 86_400)), "How far back a command's own time may reach.",
                default: "24h")
        case .authorization:
            Definition(
                .choice(["user-id", "trusted"]),
                "Who a command's partner is: the one whose user the broker verified, or the one that it names.",
                default: "user-id")
        case .drainTimeout:
            Definition(
                .duration(.zero ... .seconds(3600)), "How long a stopping worker may finish what it has.",
                default: "20s")
        case .httpHost:
            Definition(.text, "IP address for /healthz, /readyz and /metrics.", default: "127.0.0.1")
        case .httpPort:
            Definition(.integer(0...65_535), "Port for them; 0 picks a free one and logs it.", default: "8080")
        case .logLevel:
            Definition(
                .choice(["trace", "debug", "info", "notice", "warning", "error", "critical"]),
                "The least important lines that are logged.", default: "info")
        case .logFormat:
            Definition(
                .choice(["auto", "json", "text"]), "JSON lines, or text; auto: text on a terminal.", default: "auto")
        case .wait:
            Definition(
                .duration(.zero ... .seconds(3600)),
                "How long all commands but run wait for a broker or database that isn't up yet.", default: "0s")
        }
    }

    var kind: SettingKind { definition.kind }
    var summary: String { definition.summary }
    var isSecret: Bool { definition.isSecret }
    /// `nil` where there is none.
    var defaultText: String? { definition.defaultText }

    private struct Definition {
        let kind: SettingKind
        let summary: String
        let defaultText: String?
        let isSecret: Bool

        init(_ kind: SettingKind, _ summary: String, default text: String? = nil, isSecret: Bool = false) {
            self.kind = kind
            self.summary = summary
            self.defaultText = text
            self.isSecret = isSecret
        }
    }
}

extension Setting {
    /// The table for the README, in Markdown.
    static var markdownTable: String {
        let rows = allCases.map { setting in
            let standard = setting.defaultText.map { "`\($0)`" } ?? ""
            return "| `\(setting.key)` | `\(setting.environmentVariable)` | `--\(setting.optionName)` | \(standard) "
                + "| \(setting.summary) |"
        }
        return (["| key | variable | option | default | meaning |", "|---|---|---|---|---|"] + rows)
            .joined(separator: "\n")
    }
}
