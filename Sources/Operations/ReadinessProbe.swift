// Asks a running process's `/readyz`.

internal import FlyingFox
internal import FlyingSocks
internal import Foundation

/// Asks whether a process is ready, over HTTP.
public enum ReadinessProbe {
    /// - Parameters:
    ///   - host: as ``OperationsServer`` was given it; an address that means all interfaces is asked on the loopback.
    ///   - port: 1…65535.
    /// - Throws: ``OperationsError`` if nothing answers within the time limit, or not as the server would.
    public static func ask(host: String, port: Int, timeout: Duration = .seconds(5)) async throws -> Readiness {
        let during = "asking http://\(host):\(port)/readyz"
        do {
            return try await withThrowingTaskGroup(of: Readiness.self) { group in
                group.addTask { try await answer(host: host, port: port) }
                group.addTask {
                    try await Task.sleep(for: timeout)
                    throw OperationsError(code: .noAnswer, during: during, cause: "no answer within \(timeout)")
                }
                defer { group.cancelAll() }
                guard let first = try await group.next() else {
                    throw OperationsError(code: .noAnswer, during: during, cause: "no answer")
                }
                return first
            }
        } catch let error as OperationsError {
            throw error
        } catch SocketError.failed(_, _, let message) {
            throw OperationsError(code: .noAnswer, during: during, cause: message)
        } catch {
            throw OperationsError(code: .noAnswer, during: during, cause: "\(error)")
        }
    }

    private static func answer(host: String, port: Int) async throws -> Readiness {
        let target = ["0.0.0.0": "127.0.0.1", "::": "::1", "localhost": "127.0.0.1"][host] ?? host
        let number = UInt16(clamping: port)
        let request = HTTPRequest(
            method: .GET, version: .http11, path: "/readyz", query: [],
            headers: [.host: "\(target):\(port)", .connection: "close"], body: Data())
        var client = HTTPClient()
        let response =
            target.contains(":")
            ? try await client.sendHTTPRequest(request, to: sockaddr_in6.inet6(ip6: target, port: number))
            : try await client.sendHTTPRequest(request, to: sockaddr_in.inet(ip4: target, port: number))
        return try Readiness(json: try await response.bodyData)
    }
}
