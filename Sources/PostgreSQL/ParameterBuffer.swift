// Lays a statement's parameters out as libpq takes them, in memory that is used again for the next statement.

struct ParameterBuffer {
    private var bytes: [UInt8] = []
    private var pointers: [UnsafePointer<CChar>?] = []
    private var lengths: [Int32] = []
    private var formats: [Int32] = []

    /// Above this the memory is given back after use.
    private static let kept = 1 << 20
    private static let binary: Int32 = 1

    /// Calls `body` with the count, values, lengths and formats of `parameters`; the pointers are valid inside it alone.
    mutating func withPointers<Value>(
        _ parameters: [Parameter],
        _ body: (
            Int32, UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int32>?, UnsafePointer<Int32>?
        ) -> Value
    ) -> Value {
        bytes.removeAll(keepingCapacity: true)
        pointers.removeAll(keepingCapacity: true)
        lengths.removeAll(keepingCapacity: true)
        formats.removeAll(keepingCapacity: true)
        // One byte more: an empty value is a pointer too, since no pointer is a null.
        bytes.reserveCapacity(parameters.reduce(1) { $0 + ($1.bytes?.count ?? 0) })
        for parameter in parameters {
            if let value = parameter.bytes { bytes.append(contentsOf: value) }
            lengths.append(Int32(truncatingIfNeeded: parameter.bytes?.count ?? 0))
            formats.append(Self.binary)
        }
        bytes.append(0)
        let result = bytes.withUnsafeBytes { buffer in
            var next = buffer.baseAddress?.assumingMemoryBound(to: CChar.self)
            for parameter in parameters {
                pointers.append(parameter.bytes == nil ? nil : next)
                next = next.map { $0 + (parameter.bytes?.count ?? 0) }
            }
            return pointers.withUnsafeBufferPointer { pointers in
                lengths.withUnsafeBufferPointer { lengths in
                    formats.withUnsafeBufferPointer { formats in
                        body(
                            Int32(truncatingIfNeeded: parameters.count), pointers.baseAddress, lengths.baseAddress,
                            formats.baseAddress)
                    }
                }
            }
        }
        if bytes.capacity > Self.kept { bytes = [] }
        return result
    }
}
