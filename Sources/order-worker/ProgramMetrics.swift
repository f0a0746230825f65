// All metrics of the program: the worker's, the server's, and what the program knows of itself.

internal import AMQP
internal import FoundationEssentials
internal import Metrics
internal import Operations
internal import OrderStore
internal import OrderWorker
internal import PostgreSQL

enum ProgramMetrics {
    private static let buildInfo = MetricDefinition(
        "order_worker_build_info", .gauge, "1; the program's version, and the schema of its database.")
    private static let certificateExpiry = MetricDefinition(
        "order_worker_certificate_expiry_timestamp_seconds", .gauge,
        "When the first certificate of a file that the worker was given expires, by its use.")

    static let definitions =
        WorkerMetrics.all.map { metric in
            MetricDefinition(metric.name, kind(metric.kind), metric.help, buckets: metric.buckets)
        } + OperationsServer.metricDefinitions + [buildInfo, certificateExpiry]

    private static func kind(_ kind: WorkerMetrics.Metric.Kind) -> MetricDefinition.Kind {
        switch kind {
        case .counter: .counter
        case .gauge: .gauge
        case .histogram: .histogram
        }
    }

    /// What doesn't change while the program runs.
    static func noteBuild() {
        Gauge(
            label: buildInfo.name,
            dimensions: [("version", Version.text), ("schema", "\(OrderMigrations.all.count)")]
        ).record(1)
    }

    /// Looks at the certificate files again and again: whoever renews them replaces the files.
    static func watchCertificates(_ files: [CertificateFile]) async {
        while !Task.isCancelled {
            for file in files {
                Gauge(label: certificateExpiry.name, dimensions: [("certificate", file.use)])
                    .record(file.expiry ?? .nan)
            }
            guard !files.isEmpty, (try? await Task.sleep(for: .seconds(60))) != nil else { return }
        }
    }
}

/// A file of certificates that the worker was given.
struct CertificateFile: Sendable, Hashable {
    /// A label's value: `broker_client`.
    let use: String
    let path: String

    /// When the first of its certificates expires, in seconds since 1970; nil where it can't be read.
    var expiry: Double? { Certificates.expiry(ofFile: path).map(Double.init) }
}

extension Settings {
    /// The certificate files that the settings name. The system's authorities aren't watched: the system keeps them.
    func certificateFiles() throws -> [CertificateFile] {
        let database = try database()
        let files: [(use: String, path: String?)] = [
            ("broker_client", entries[.amqpCertificate]?.value.description),
            ("broker_authorities", entries[.amqpAuthorities]?.value.description),
            ("database_client", database.certificateFile), ("database_authorities", database.authorityFile),
        ]
        return files.compactMap { file in file.path.map { CertificateFile(use: file.use, path: $0) } }
    }
}
