// The effective settings, from the command line, the environment, a file, and the defaults.

internal import Configuration

/// Where a setting's value comes from, in the order of precedence.
enum SettingOrigin: Int, Sendable, Comparable {
    case commandLine
    case environment
    case file
    case standard

    static func < (left: SettingOrigin, right: SettingOrigin) -> Bool { left.rawValue < right.rawValue }

    /// For `--print-config`.
    var name: String {
        switch self {
        case .commandLine: "command line"
        case .environment: "environment"
        case .file: "file"
        case .standard: "default"
        }
    }

    /// What the setting is called there.
    func name(of setting: Setting) -> String {
        switch self {
        case .commandLine: "--\(setting.optionName)"
        case .environment: setting.environmentVariable
        case .file, .standard: setting.key
        }
    }
}

/// The effective settings.
struct Settings: Sendable {
    struct Entry: Sendable, Equatable {
        let value: SettingValue
        let origin: SettingOrigin
    }

    let entries: [Setting: Entry]

    /// Reads every setting from the first source that has it. An empty environment variable counts as not set.
    ///
    /// - Parameters:
    ///   - commandLine: what was given as options.
    ///   - file: what the configuration file says.
    /// - Throws: ``Failure`` that names every malformed value and the accepted form.
    init(commandLine: [Setting: String], environment: [String: String], file: [Setting: String]) throws {
        let secrets = Set(Setting.allCases.filter(\.isSecret).map(\.environmentVariable))
        let sources: [(origin: SettingOrigin, provider: any ConfigProvider)] = [
            (.commandLine, Self.provider("command line", commandLine)),
            (
                .environment,
                EnvironmentVariablesProvider(
                    environmentVariables: environment.filter { !$0.value.isEmpty }, secretsSpecifier: .specific(secrets)
                )
            ),
            (.file, Self.provider("file", file)),
            (.standard, Self.provider("default", Self.defaults)),
        ]
        var entries: [Setting: Entry] = [:]
        var problems: [String] = []
        for setting in Setting.allCases {
            guard let (text, origin) = try Self.lookUp(setting, in: sources) else { continue }
            if let value = setting.kind.value(of: text) {
                entries[setting] = Entry(value: value, origin: origin)
            } else {
                let shown = setting.isSecret ? "" : " is '\(text.prefix(80))'; it"
                problems.append("\(origin.name(of: setting))\(shown) must be \(setting.kind.accepted).")
            }
        }
        if !problems.isEmpty {
            throw Failure(status: .configuration, message: problems.joined(separator: "\n       "))
        }
        self.entries = entries
    }

    private static var defaults: [Setting: String] {
        Dictionary(
            uniqueKeysWithValues: Setting.allCases.compactMap { setting in setting.defaultText.map { (setting, $0) } })
    }

    private static func provider(_ name: String, _ values: [Setting: String]) -> InMemoryProvider {
        InMemoryProvider(
            name: name,
            values: Dictionary(
                uniqueKeysWithValues: values.map { setting, text in
                    (AbsoluteConfigKey(ConfigKey(setting.key)), ConfigValue(.string(text), isSecret: setting.isSecret))
                }))
    }

    private static func lookUp(
        _ setting: Setting, in sources: [(origin: SettingOrigin, provider: any ConfigProvider)]
    ) throws -> (text: String, origin: SettingOrigin)? {
        let key = AbsoluteConfigKey(ConfigKey(setting.key))
        for (origin, provider) in sources {
            if case .string(let text)? = try provider.value(forKey: key, type: .string).value?.content {
                return (text, origin)
            }
        }
        return nil
    }

    // MARK: Values

    /// - Throws: ``Failure`` if it isn't set and has no default.
    func text(_ setting: Setting) throws -> String {
        if case .text(let text)? = entries[setting]?.value { return text }
        throw Self.missing(setting)
    }

    func integer(_ setting: Setting) throws -> Int {
        if case .integer(let number)? = entries[setting]?.value { return number }
        throw Self.missing(setting)
    }

    func duration(_ setting: Setting) throws -> Duration {
        if case .duration(let duration)? = entries[setting]?.value { return duration }
        throw Self.missing(setting)
    }

    static func missing(_ setting: Setting) -> Failure {
        Failure(
            status: .configuration, message: "\(setting.environmentVariable) isn't set.",
            advice: "\(setting.summary) Set the variable, --\(setting.optionName), or \(setting.key) in the file.")
    }
}
