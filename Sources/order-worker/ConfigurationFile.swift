// The configuration file: a JSON object whose members are settings, nested by the parts of their keys.

internal import OrderContract

/// Reads configuration files such as `{"amqp": {"url": "amqp://…"}, "partitions": 8, "drain": {"timeout": "20s"}}`.
enum ConfigurationFile {
    /// Reads a file.
    ///
    /// - Throws: ``Failure`` if it can't be read, isn't such an object, or has a member that is no setting.
    static func read(path: String) throws -> [Setting: String] {
        let bytes = try InputFile.read(path: path, maximumSize: 1 << 20, status: .configuration)
        return try parse(bytes, name: path)
    }

    static func parse(_ bytes: [UInt8], name: String) throws -> [Setting: String] {
        let document: JSONDocument
        do throws(JSONError) {
            document = try JSONDocument(bytes)
        } catch {
            throw Failure(status: .configuration, message: "\(name) isn't JSON: \(error).")
        }
        guard document.root.isObject else {
            throw Failure(status: .configuration, message: "\(name) isn't a JSON object.")
        }
        var values: [Setting: String] = [:]
        var problems: [String] = []
        collect(document.root, prefix: "", into: &values, &problems)
        if !problems.isEmpty {
            throw Failure(
                status: .configuration, message: "\(name): \(problems.joined(separator: "; ")).",
                advice: "`order-worker run --help` lists the settings; a.b is written {\"a\": {\"b\": …}}.")
        }
        return values
    }

    private static func collect(
        _ object: JSONValue, prefix: String, into values: inout [Setting: String], _ problems: inout [String]
    ) {
        for member in object.members {
            let key = prefix + member.name
            if member.value.isObject {
                collect(member.value, prefix: key + ".", into: &values, &problems)
                continue
            }
            guard let setting = Setting(rawValue: key) else {
                problems.append("there is no setting '\(key)'")
                continue
            }
            if values[setting] != nil {
                problems.append("'\(key)' is there twice, in two forms")
            } else if let text = member.value.string {
                values[setting] = text
            } else if case .integer = setting.kind, let number = member.value.integer {
                values[setting] = "\(number)"
            } else {
                problems.append("'\(key)' must be \(setting.kind.accepted)")
            }
        }
    }
}
