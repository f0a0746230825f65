// The process's own figures.

import Testing

@testable import Operations

@Suite("Process metrics")
struct ProcessMetricsTests {
    @Test("The figures are read behind the program's name, whatever that is")
    func fields() {
        let numbers = (3...30).map { "\($0)" }.joined(separator: " ")
        let figures = ProcessMetrics.figures(stat: "1 (a) b 7) \(numbers)", booted: 1000)
        #expect(figures.threads == 20)
        #expect(figures.virtualBytes == 23)
        #expect(figures.residentBytes.map { $0 > 24 && $0.truncatingRemainder(dividingBy: 24) == 0 } == true)
        #expect(figures.startTime.map { $0 > 1000 } == true)
        #expect(figures.cpuSeconds.map { $0 > 0 } == true)
        #expect(ProcessMetrics.figures(stat: "1 (a", booted: nil) == ProcessMetrics.Figures())
    }

    @Test(
        "This process has each of them",
        arguments: [
            "process_cpu_seconds_total", "process_max_fds", "process_open_fds", "process_resident_memory_bytes",
            "process_start_time_seconds", "process_threads", "process_virtual_memory_bytes",
        ])
    func rendered(name: String) {
        let lines = ProcessMetrics.rendered().split(separator: "\n")
        #expect(lines.contains { $0.hasPrefix("# HELP \(name) ") })
        let value = lines.first { $0.hasPrefix("\(name) ") }.flatMap { Double($0.dropFirst(name.count + 1)) }
        #expect(value.map { $0 > 0 } == true)
    }
}
