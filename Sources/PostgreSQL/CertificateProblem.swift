// Why a server's certificate isn't accepted: libpq says only that it isn't.

internal import CLibPQ
internal import Glibc
internal import SocketExecutor

enum CertificateProblem {
    /// Asks the server once more, and says what is wrong with its certificate.
    ///
    /// - Parameters:
    ///   - address: numeric.
    ///   - authorities: the file of those that are trusted.
    /// - Returns: a sentence; `nil` if that can't be told.
    nonisolated(nonsending) static func sentence(
        address: String, port: Int, authorities: String
    ) async -> String? {
        let code = await BlockingCall.run(label: "certificate", until: .now + .seconds(8)) { () -> Int in
            guard let socket = try? TCPSocket.open(address, port: port, within: .seconds(2)) else { return -1 }
            defer { TCPSocket.hangUp(socket) }
            let flags = fcntl(socket, F_GETFL)
            _ = fcntl(socket, F_SETFL, flags & ~O_NONBLOCK)
            return clibpq_certificate_problem(socket, authorities)
        }
        guard let code, code > 0 else { return nil }
        switch Int32(truncatingIfNeeded: code) {
        case X509_V_ERR_CERT_HAS_EXPIRED: return "The server's certificate has expired."
        case X509_V_ERR_CERT_NOT_YET_VALID: return "The server's certificate isn't valid yet: are the clocks right?"
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
            X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
            X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_CERT_UNTRUSTED:
            return "The server's certificate isn't signed by an authority in \(authorities)."
        default:
            return "The server's certificate: \(String(cString: X509_verify_cert_error_string(code)))."
        }
    }
}
