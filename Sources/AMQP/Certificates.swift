// When certificates expire.

internal import CRabbitMQ

/// Certificates in files, PEM.
public enum Certificates {
    /// When the first of a file's certificates expires.
    ///
    /// - Returns: seconds since 1970; nil where the file can't be read or holds none.
    public static func expiry(ofFile path: String) -> Int64? {
        var expiry: Int64 = 0
        return crabbitmq_certificate_expiry(path, &expiry) == 0 ? expiry : nil
    }
}
