// PostgreSQL's binary format: how scalars and arrays are laid out in a message (all integers big-endian).

enum Wire {
    static let jsonbVersion: UInt8 = 1
    /// Days and microseconds from 1970-01-01, which the program counts from, to 2000-01-01, which PostgreSQL does.
    private static let epochDays: Int32 = 10_957
    private static let epochMicroseconds: Int64 = 946_684_800_000_000

    // MARK: Values

    // Each writes as many bytes as its type is wide; `target` has room for them and needs no alignment.

    @inline(__always)
    static func put(_ value: some FixedWidthInteger, _ target: UnsafeMutableRawPointer) {
        target.storeBytes(of: value.bigEndian, as: type(of: value))
    }

    @inline(__always)
    static func put(_ value: Bool, _ target: UnsafeMutableRawPointer) { put(value ? 1 : 0 as UInt8, target) }

    @inline(__always)
    static func put(_ value: Double, _ target: UnsafeMutableRawPointer) { put(value.bitPattern, target) }

    @inline(__always)
    static func put(_ value: Parameter.UUIDHalves, _ target: UnsafeMutableRawPointer) {
        put(value.high, target)
        put(value.low, target + 8)
    }

    @inline(__always)
    static func putDate(_ days: Int32, _ target: UnsafeMutableRawPointer) { put(daysSince2000(days), target) }

    @inline(__always)
    static func putTimestamptz(_ microseconds: Int64, _ target: UnsafeMutableRawPointer) {
        put(microsecondsSince2000(microseconds), target)
    }

    @inline(__always)
    static func put(_ bytes: UnsafeRawBufferPointer, _ target: UnsafeMutableRawPointer) {
        if let source = bytes.baseAddress { target.copyMemory(from: source, byteCount: bytes.count) }
    }

    @inline(__always)
    static func put(_ text: String, prefix: UInt8?, _ target: UnsafeMutableRawPointer) {
        if let prefix { put(prefix, target) }
        let rest = prefix == nil ? target : target + 1
        var text = text
        text.withUTF8 { put(UnsafeRawBufferPointer($0), rest) }
    }

    // MARK: Arrays

    /// Encodes a one-dimensional array in one allocation. `length` is nil for a null, for which `put` isn't called.
    @inline(__always)
    static func array<Element>(
        of type: TypeID, _ elements: [Element], length: (Element) -> Int?,
        put putElement: (Element, UnsafeMutableRawPointer) -> Void
    ) -> [UInt8] {
        var size = 0
        var hasNull = false
        for element in elements {
            if let length = length(element) { size += length } else { hasNull = true }
        }
        // An empty array has no dimension.
        let header = elements.isEmpty ? 12 : 20
        let total = header + 4 * elements.count + size
        return [UInt8](unsafeUninitializedCapacity: total) { buffer, count in
            guard let start = UnsafeMutableRawPointer(buffer.baseAddress) else { return }
            put(elements.isEmpty ? 0 : 1 as Int32, start)
            put(hasNull ? 1 : 0 as Int32, start + 4)
            put(type.rawValue, start + 8)
            if !elements.isEmpty {
                put(Int32(truncatingIfNeeded: elements.count), start + 12)
                put(1 as Int32, start + 16)
            }
            var target = start + header
            for element in elements {
                let length = length(element)
                put(Int32(truncatingIfNeeded: length ?? -1), target)
                target += 4
                if let length {
                    putElement(element, target)
                    target += length
                }
            }
            count = total
        }
    }

    // MARK: The two epochs

    /// The extremes stand for PostgreSQL's infinities. What would fall on one by subtraction is moved next to it, where
    /// the server refuses it as out of range.
    private static func daysSince2000(_ days: Int32) -> Int32 {
        if days == .max || days == .min { return days }
        let (result, overflow) = days.subtractingReportingOverflow(epochDays)
        return overflow || result == .min ? .min + 1 : result
    }

    private static func microsecondsSince2000(_ microseconds: Int64) -> Int64 {
        if microseconds == .max || microseconds == .min { return microseconds }
        let (result, overflow) = microseconds.subtractingReportingOverflow(epochMicroseconds)
        return overflow || result == .min ? .min + 1 : result
    }

    static func daysSince1970(_ days: Int32) -> Int32? {
        if days == .max || days == .min { return days }
        let (result, overflow) = days.addingReportingOverflow(epochDays)
        return overflow ? nil : result
    }

    static func microsecondsSince1970(_ microseconds: Int64) -> Int64? {
        if microseconds == .max || microseconds == .min { return microseconds }
        let (result, overflow) = microseconds.addingReportingOverflow(epochMicroseconds)
        return overflow ? nil : result
    }
}
