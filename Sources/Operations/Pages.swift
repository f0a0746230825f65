// The operator's pages.

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

    let metrics: PrometheusMetrics
    let readiness: @Sendable () -> Readiness

    /// - Parameter target: the request's; a query is ignored.
    func answer(_ method: HTTPMethod, _ target: String) -> Page {
        let path = target.prefix { $0 != "?" }
        guard ["/healthz", "/readyz", "/metrics"].contains(path) else { return .status(.notFound) }
        guard Self.methods.contains(method) else { return .status(.methodNotAllowed) }
        switch path {
        case "/readyz": return readinessPage()
        case "/metrics": return Page(type: "text/plain; version=0.0.4; charset=utf-8", body: metrics.rendered())
        default:
            return readiness().isAlive
                ? Page(body: "ok\n") : Page(status: .serviceUnavailable, body: "nothing moves any more\n")
        }
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
