// Reads single values and array elements of the binary format; nil for bytes or a type that don't fit.

enum Scalar {
    /// The first bytes as a big-endian integer. There must be enough of them.
    @inline(__always)
    static func load<Integer: FixedWidthInteger>(_ bytes: UnsafeRawBufferPointer) -> Integer {
        Integer(bigEndian: bytes.loadUnaligned(as: Integer.self))
    }

    @inline(__always)
    static func integer(_ type: TypeID, _ bytes: UnsafeRawBufferPointer) -> Int64? {
        switch (type, bytes.count) {
        case (.int8, 8): load(bytes)
        case (.int4, 4): Int64(load(bytes) as Int32)
        case (.int2, 2): Int64(load(bytes) as Int16)
        default: nil
        }
    }

    static func text(_ type: TypeID, _ bytes: UnsafeRawBufferPointer) -> String? {
        switch type {
        case .text, .varchar, .bpchar, .name, .json:
            return String(validating: bytes, as: UTF8.self)
        case .jsonb:
            guard bytes.first == Wire.jsonbVersion else { return nil }
            return String(validating: UnsafeRawBufferPointer(rebasing: bytes.dropFirst()), as: UTF8.self)
        default:
            return nil
        }
    }

    static func uuid(_ type: TypeID, _ bytes: UnsafeRawBufferPointer) -> Parameter.UUIDHalves? {
        guard type == .uuid, bytes.count == 16 else { return nil }
        return (load(bytes), load(UnsafeRawBufferPointer(rebasing: bytes[8...])))
    }
}

enum ArrayReader {
    /// The elements of a one-dimensional or empty array; nil for anything else, and where `read` refuses an element.
    @inline(__always)
    static func elements<Value>(
        _ bytes: UnsafeRawBufferPointer, _ read: (TypeID, UnsafeRawBufferPointer) -> Value?
    ) -> [Value?]? {
        guard bytes.count >= 12 else { return nil }
        let dimensions = bytes.int32(at: 0)
        let type = TypeID(rawValue: UInt32(bitPattern: bytes.int32(at: 8)))
        if dimensions == 0 { return [] }
        guard dimensions == 1, bytes.count >= 20 else { return nil }
        let count = Int(bytes.int32(at: 12))
        // Each element has four bytes of length: a false count can't make us reserve more than the message's size.
        guard count >= 0, count <= (bytes.count - 20) / 4 else { return nil }
        var values: [Value?] = []
        values.reserveCapacity(count)
        var offset = 20
        for _ in 0..<count {
            guard bytes.count - offset >= 4 else { return nil }
            let length = Int(bytes.int32(at: offset))
            offset += 4
            if length < 0 {
                values.append(nil)
                continue
            }
            guard bytes.count - offset >= length,
                let value = read(type, UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + length]))
            else { return nil }
            values.append(value)
            offset += length
        }
        return values
    }
}

extension UnsafeRawBufferPointer {
    /// The big-endian integer at `offset`, which must lie at least four bytes before the end.
    fileprivate func int32(at offset: Int) -> Int32 {
        Int32(bigEndian: loadUnaligned(fromByteOffset: offset, as: Int32.self))
    }
}
