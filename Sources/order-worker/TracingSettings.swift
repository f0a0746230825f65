// Where traces go, from OpenTelemetry's own environment variables.

internal import FoundationEssentials
internal import Operations

/// What `OTEL_…` variables say, as OpenTelemetry specifies them, as far as this program knows them.
struct TracingSettings: Equatable {
    let destination: SpanDestination
    /// Which share of the traces that begin here is recorded.
    let ratio: Double

    /// - Returns: nil where no endpoint is named, or tracing is switched off.
    /// - Throws: ``Failure`` that names the variable.
    static func read(_ environment: [String: String]) throws -> TracingSettings? {
        func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        let isOff = value("OTEL_SDK_DISABLED")?.lowercased() == "true" || value("OTEL_TRACES_EXPORTER") == "none"
        let own = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
        let common = "OTEL_EXPORTER_OTLP_ENDPOINT"
        guard !isOff, let name = [own, common].first(where: { value($0) != nil }), let text = value(name) else {
            return nil
        }
        for variable in ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"] {
            if let named = value(variable), named != "http/json" {
                throw Failure(
                    status: .configuration, message: "\(variable) is '\(named)'; spans are sent by http/json alone.",
                    advice: "Leave it unset, and name the collector's endpoint for HTTP (port 4318).")
            }
        }
        guard let url = URL(string: text), url.scheme == "http", let host = url.host, !host.isEmpty,
            (1...65_535).contains(url.port ?? 80)
        else {
            throw Failure(
                status: .configuration, message: "\(name) is '\(text.prefix(80))'; it must be http://HOST:PORT.",
                advice: "Spans are sent without TLS: name a collector on this machine or in this network.")
        }
        let path = url.path == "/" ? "" : url.path.hasSuffix("/") ? String(url.path.dropLast()) : url.path
        var resource = try pairs(value("OTEL_RESOURCE_ATTRIBUTES"), "OTEL_RESOURCE_ATTRIBUTES")
        resource["service.name"] = value("OTEL_SERVICE_NAME") ?? resource["service.name"] ?? "order-worker"
        resource["service.version"] = resource["service.version"] ?? Version.text
        var headers = try pairs(value("OTEL_EXPORTER_OTLP_HEADERS"), "OTEL_EXPORTER_OTLP_HEADERS")
        headers.merge(
            try pairs(value("OTEL_EXPORTER_OTLP_TRACES_HEADERS"), "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
        ) { $1 }
        return TracingSettings(
            destination: SpanDestination(
                host: host, port: url.port ?? 80, path: name == own ? (path.isEmpty ? "/" : path) : path + "/v1/traces",
                headers: headers, resource: resource, version: Version.text), ratio: try ratio(value))
    }

    private static func ratio(_ value: (String) -> String?) throws -> Double {
        switch value("OTEL_TRACES_SAMPLER") {
        case nil, "always_on", "parentbased_always_on": return 1
        case "always_off", "parentbased_always_off": return 0
        case "traceidratio", "parentbased_traceidratio":
            guard let text = value("OTEL_TRACES_SAMPLER_ARG") else { return 1 }
            if let ratio = Double(text), (0...1).contains(ratio) { return ratio }
            throw Failure(
                status: .configuration,
                message: "OTEL_TRACES_SAMPLER_ARG is '\(text.prefix(80))'; it must be from 0 to 1.")
        case let other?:
            throw Failure(
                status: .configuration, message: "OTEL_TRACES_SAMPLER is '\(other.prefix(80))', which isn't known.",
                advice: "Use always_on, always_off or traceidratio, each with parentbased_ before it if you like.")
        }
    }

    /// `name=value,…`, percent-encoded.
    private static func pairs(_ text: String?, _ variable: String) throws -> [String: String] {
        var pairs: [String: String] = [:]
        for part in (text ?? "").split(separator: ",") {
            let sides = part.split(separator: "=", maxSplits: 1).map { side in
                String(String(side.drop { $0 == " " }).reversed().drop { $0 == " " }.reversed())
            }
            guard sides.count == 2, !sides[0].isEmpty, let value = decoded(sides[1]) else {
                throw Failure(
                    status: .configuration, message: "\(variable) must be name=value pairs, separated by commas.")
            }
            pairs[sides[0]] = value
        }
        return pairs
    }
    /// The text with its `%XX` replaced; nil where one isn't a byte, or the bytes aren't UTF-8.
    private static func decoded(_ text: String) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            else { return nil }
            bytes.append(value)
            rest.removeFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
