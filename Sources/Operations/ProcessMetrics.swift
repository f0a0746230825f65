// What the system knows of the process, by the names that Prometheus' client libraries agree on.

internal import FoundationEssentials
internal import Glibc

/// The process's own figures, read from `/proc` when they are asked for. Where that can't be read they are left out.
enum ProcessMetrics {
    /// What is read of `/proc/self`.
    struct Figures: Equatable {
        var cpuSeconds: Double?
        var startTime: Double?
        var residentBytes: Double?
        var virtualBytes: Double?
        var threads: Double?
        var openFiles: Double?
        var maximumFiles: Double?
    }

    static func rendered() -> String { rendered(read()) }

    static func rendered(_ figures: Figures) -> String {
        var text = MetricText()
        func write(_ name: String, _ type: SampleType, _ help: String, _ value: Double?) {
            guard let value else { return }
            text.begin(name, type, help: help)
            text.sample(name, [], MetricText.number(value))
        }
        write(
            "process_cpu_seconds_total", .counter, "Total user and system CPU time spent in seconds.",
            figures.cpuSeconds)
        write("process_max_fds", .gauge, "Maximum number of open file descriptors.", figures.maximumFiles)
        write("process_open_fds", .gauge, "Number of open file descriptors.", figures.openFiles)
        write("process_resident_memory_bytes", .gauge, "Resident memory size in bytes.", figures.residentBytes)
        write(
            "process_start_time_seconds", .gauge, "Start time of the process since unix epoch in seconds.",
            figures.startTime)
        write("process_threads", .gauge, "Number of OS threads of the process.", figures.threads)
        write("process_virtual_memory_bytes", .gauge, "Virtual memory size in bytes.", figures.virtualBytes)
        return text.text
    }

    private static func read() -> Figures {
        var figures = figures(stat: contents("stat"), booted: bootTime)
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            figures.maximumFiles = Double(limit.rlim_cur)
        }
        // The folder that is read is open while it is.
        if let files = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
            figures.openFiles = Double(max(0, files.count - 1))
        }
        return figures
    }

    /// - Parameters:
    ///   - stat: `/proc/self/stat`. The program's name in it, in brackets, may hold anything.
    ///   - booted: when the machine was started, in seconds since 1970.
    static func figures(stat: String, booted: Double?) -> Figures {
        var figures = Figures()
        guard let name = stat.lastIndex(of: ")") else { return figures }
        // The third field is the first after the name.
        let fields = stat[stat.index(after: name)...].split(separator: " ").map { Double($0) }
        func field(_ number: Int) -> Double? { number - 3 < fields.count ? fields[number - 3] : nil }
        let tick = Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
        if let user = field(14), let system = field(15) { figures.cpuSeconds = (user + system) / tick }
        if let start = field(22), let booted { figures.startTime = booted + start / tick }
        figures.threads = field(20)
        figures.virtualBytes = field(23)
        figures.residentBytes = field(24).map { $0 * Double(getpagesize()) }
        return figures
    }

    private static func booted() -> Double? {
        var uptime = timespec()
        guard clock_gettime(CLOCK_BOOTTIME, &uptime) == 0 else { return nil }
        return Date().timeIntervalSince1970 - Double(uptime.tv_sec) - Double(uptime.tv_nsec) / 1e9
    }

    /// Fixed once it was computed: a start time that trembles would look like restarts.
    private static let bootTime = booted()

    private static func contents(_ name: String) -> String {
        (try? String(contentsOfFile: "/proc/self/\(name)", encoding: .utf8)) ?? ""
    }
}
