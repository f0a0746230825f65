// A violation of the contract as a line for people.

internal import Orders

extension Violation {
    /// `code at /pointer: sentence`.
    var line: String { "\(code.rawValue)\(pointer.isEmpty ? "" : " at \(pointer)"): \(message)" }
}
