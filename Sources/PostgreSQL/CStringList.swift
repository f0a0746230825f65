// A null-terminated list of C strings, as libpq takes its connection parameters.

struct CStringList {
    private let bytes: [CChar]
    private let offsets: [Int]

    init(_ strings: [String]) {
        var bytes: [CChar] = []
        var offsets: [Int] = []
        for string in strings {
            offsets.append(bytes.count)
            bytes.append(contentsOf: string.utf8.map { CChar(bitPattern: $0) })
            bytes.append(0)
        }
        self.bytes = bytes
        self.offsets = offsets
    }

    func withPointers<Value>(_ body: ([UnsafePointer<CChar>?]) -> Value) -> Value {
        bytes.withUnsafeBufferPointer { buffer in
            let base = buffer.baseAddress
            return body(offsets.map { offset in base.map { $0 + offset } } + [nil])
        }
    }
}
