// The settings as command line options, grouped by what needs them.

internal import ArgumentParser
internal import FoundationEssentials

/// Options that give settings.
protocol SettingOptions {
    /// What was given.
    var given: [Setting: String?] { get }
}

extension Setting {
    var name: NameSpecification { .customLong(optionName) }

    var help: ArgumentHelp {
        let standard = defaultText.map { " (default: \($0))" } ?? ""
        return ArgumentHelp("\(summary)\(standard) [\(environmentVariable)]", valueName: valueName)
    }

    private var valueName: String {
        switch kind {
        case .text: isSecret ? "url" : (optionName.hasSuffix("file") ? "path" : "text")
        case .integer: "number"
        case .duration: "duration"
        case .choice(let choices): choices.count <= 3 ? choices.joined(separator: "|") : "choice"
        }
    }
}

/// What every command takes.
struct CommonOptions: ParsableArguments, SettingOptions {
    @Option(
        name: .customLong("config"), help: ArgumentHelp("JSON file with settings. [CONFIG_FILE]", valueName: "path"))
    var configurationFile: String?
    @Option(name: Setting.logLevel.name, help: Setting.logLevel.help) var logLevel: String?
    @Option(name: Setting.logFormat.name, help: Setting.logFormat.help) var logFormat: String?

    var given: [Setting: String?] { [.logLevel: logLevel, .logFormat: logFormat] }

    /// The effective settings, with the logging set up by them.
    ///
    /// - Throws: ``Failure``.
    func load(_ others: (any SettingOptions)...) throws -> Settings {
        let settings = try reader(others)()
        try LogOutput.bootstrap(settings)
        return settings
    }

    /// What reads the settings, as often as it is called: the file may have changed.
    func reader(_ others: [any SettingOptions]) -> @Sendable () throws -> Settings {
        let environment = ProcessInfo.processInfo.environment
        var commandLine = given.compactMapValues(\.self)
        for other in others { commandLine.merge(other.given.compactMapValues(\.self)) { $1 } }
        let path = configurationFile ?? environment["CONFIG_FILE"].flatMap { $0.isEmpty ? nil : $0 }
        let given = commandLine
        return {
            try Settings(
                commandLine: given, environment: environment, file: try path.map(ConfigurationFile.read) ?? [:])
        }
    }
}

struct BrokerOptions: ParsableArguments, SettingOptions {
    @Option(name: Setting.amqpURL.name, help: Setting.amqpURL.help) var url: String?
    @Option(name: Setting.amqpURLFile.name, help: Setting.amqpURLFile.help) var urlFile: String?
    @Option(name: Setting.amqpPasswordFile.name, help: Setting.amqpPasswordFile.help) var passwordFile: String?

    @Option(name: Setting.amqpAuthorities.name, help: Setting.amqpAuthorities.help) var authorities: String?
    @Option(name: Setting.amqpCertificate.name, help: Setting.amqpCertificate.help) var certificate: String?
    @Option(name: Setting.amqpKey.name, help: Setting.amqpKey.help) var key: String?
    @Option(name: Setting.amqpServerName.name, help: Setting.amqpServerName.help) var serverName: String?
    @Option(name: Setting.managementURL.name, help: Setting.managementURL.help) var managementURL: String?

    var given: [Setting: String?] {
        [
            .amqpURL: url, .amqpURLFile: urlFile, .amqpPasswordFile: passwordFile, .amqpAuthorities: authorities,
            .amqpCertificate: certificate, .amqpKey: key, .amqpServerName: serverName, .managementURL: managementURL,
        ]
    }
}

struct DatabaseOptions: ParsableArguments, SettingOptions {
    @Option(name: Setting.databaseURL.name, help: Setting.databaseURL.help) var url: String?
    @Option(name: Setting.databaseURLFile.name, help: Setting.databaseURLFile.help) var urlFile: String?
    @Option(name: Setting.databasePasswordFile.name, help: Setting.databasePasswordFile.help) var passwordFile: String?

    var given: [Setting: String?] {
        [.databaseURL: url, .databaseURLFile: urlFile, .databasePasswordFile: passwordFile]
    }
}

struct PartitionOptions: ParsableArguments, SettingOptions {
    @Option(name: Setting.partitions.name, help: Setting.partitions.help) var partitions: String?

    var given: [Setting: String?] { [.partitions: partitions] }
}

struct WaitOptions: ParsableArguments, SettingOptions {
    @Option(name: Setting.wait.name, help: Setting.wait.help) var wait: String?

    var given: [Setting: String?] { [.wait: wait] }
}

struct HTTPOptions: ParsableArguments, SettingOptions {
    @Option(name: Setting.httpHost.name, help: Setting.httpHost.help) var host: String?
    @Option(name: Setting.httpPort.name, help: Setting.httpPort.help) var port: String?

    var given: [Setting: String?] { [.httpHost: host, .httpPort: port] }
}

struct WorkerOptions: ParsableArguments, SettingOptions {
    @Option(name: Setting.lanes.name, help: Setting.lanes.help) var lanes: String?
    @Option(name: Setting.batchLimit.name, help: Setting.batchLimit.help) var batchLimit: String?
    @Option(name: Setting.messageSizeLimit.name, help: Setting.messageSizeLimit.help) var messageSizeLimit: String?
    @Option(name: Setting.commandAge.name, help: Setting.commandAge.help) var commandAge: String?
    @Option(name: Setting.authorization.name, help: Setting.authorization.help) var authorization: String?
    @Option(name: Setting.drainTimeout.name, help: Setting.drainTimeout.help) var drainTimeout: String?

    var given: [Setting: String?] {
        [
            .lanes: lanes, .batchLimit: batchLimit, .messageSizeLimit: messageSizeLimit, .commandAge: commandAge,
            .authorization: authorization, .drainTimeout: drainTimeout,
        ]
    }
}
