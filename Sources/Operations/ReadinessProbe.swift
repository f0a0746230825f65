// Asks a running process's `/readyz`.

/// Asks whether a process is ready, over HTTP.
public enum ReadinessProbe {
    /// - Parameters:
    ///   - host: as ``OperationsServer`` was given it; an address that means all interfaces is asked on the loopback.
    ///   - port: 1…65535.
    /// - Throws: ``OperationsError`` if nothing answers within the time limit, or not as the server would.
    public static func ask(host: String, port: Int, timeout: Duration = .seconds(5)) async throws -> Readiness {
        let target = ["0.0.0.0": "127.0.0.1", "::": "::1", "localhost": "127.0.0.1"][host] ?? host
        let answer = try await HTTPQuestion.get(
            host: target, port: Int(UInt16(clamping: port)), path: "/readyz", timeout: timeout,
            maximumSize: 1024 * 1024)
        do {
            return try Readiness(json: answer.body)
        } catch {
            throw OperationsError(
                code: .noAnswer, during: "asking http://\(host):\(port)/readyz",
                cause: "the answer, with status \(answer.status), isn't a worker's")
        }
    }
}
