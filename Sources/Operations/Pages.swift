// The operator's pages.

internal import CoreMetrics
internal import NIOHTTP1

/// What a request is answered with.
struct Page: Sendable, Hashable {
    var status = HTTPResponseStatus.ok
    var type = "text/plain; charset=utf-8"
    var body: String

    /// A page that only says its status.
    static func status(_ status: HTTPResponseStatus) -> Page {
        Page(status: status, body: "\(status.reasonPhrase)\n")
    }
}

/// All pages. They are the same to everyone and show no secret.
struct Pages: Sendable {
    static let methods: [HTTPMethod] = [.GET, .HEAD]
    static let ready = MetricDefinition(
        "order_worker_ready", .gauge, "1 while the worker is ready, as /readyz says.")

    let metrics: PrometheusMetrics
    let readiness: @Sendable () -> Readiness

    /// - Parameter target: the request's; a query is ignored.
    func answer(_ method: HTTPMethod, _ target: String) -> Page {
        let path = target.prefix { $0 != "?" }
        guard ["/healthz", "/readyz", "/metrics"].contains(path) else { return .status(.notFound) }
        guard Self.methods.contains(method) else { return .status(.methodNotAllowed) }
        switch path {
        case "/readyz": return readinessPage()
        case "/metrics": return metricsPage()
        default:
            return readiness().isAlive
                ? Page(body: "ok\n") : Page(status: .serviceUnavailable, body: "nothing moves any more\n")
        }
    }

    /// What the scrape itself makes: whether the process is ready by the same answer as `/readyz`, and the system's figures.
    private func metricsPage() -> Page {
        let readiness = readiness()
        metrics.makeMeter(label: Self.ready.name, dimensions: []).set(readiness.isReady ? 1.0 : 0.0)
        return Page(
            type: "text/plain; version=0.0.4; charset=utf-8", body: metrics.rendered() + ProcessMetrics.rendered())
    }

    private func readinessPage() -> Page {
        let readiness = readiness()
        do {
            return Page(
                status: readiness.isReady ? .ok : .serviceUnavailable, type: "application/json",
                body: try readiness.json())
        } catch {
            return .status(.internalServerError)
        }
    }
}
