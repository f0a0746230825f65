// Metrics as Prometheus reads them.

import CoreMetrics
import Operations
import Testing

@Suite("Metrics")
struct PrometheusMetricsTests {
    private let metrics = PrometheusMetrics()

    @Test("A counter counts, by its dimensions, with help and type above")
    func counter() {
        let metrics = PrometheusMetrics([MetricDefinition("a_total", .counter, "What \\ it\nmeans.")])
        metrics.makeCounter(label: "a_total", dimensions: [("kind", "x")]).increment(by: 2)
        metrics.makeCounter(label: "a_total", dimensions: [("kind", "x")]).increment(by: 3)
        metrics.makeCounter(label: "a_total", dimensions: []).increment(by: 1)
        #expect(
            metrics.rendered() == """
                # HELP a_total What \\\\ it\\nmeans.
                # TYPE a_total counter
                a_total 1
                a_total{kind="x"} 5

                """)
    }

    @Test("The order of dimensions makes no difference")
    func dimensions() {
        metrics.makeCounter(label: "c", dimensions: [("a", "1"), ("b", "2")]).increment(by: 1)
        metrics.makeCounter(label: "c", dimensions: [("b", "2"), ("a", "1")]).increment(by: 1)
        #expect(metrics.rendered().contains("c{a=\"1\",b=\"2\"} 2\n"))
    }

    @Test("Names lose what Prometheus doesn't allow, and values are escaped")
    func escaping() {
        metrics.makeCounter(label: "1 b-c.d", dimensions: [("e:f", "\"q\"\\\n")]).increment(by: 1)
        #expect(metrics.rendered() == "# TYPE _1_b_c_d counter\n_1_b_c_d{e_f=\"\\\"q\\\"\\\\\\n\"} 1\n")
    }

    @Test("A gauge shows its last value")
    func gauge() {
        let gauge = metrics.makeRecorder(label: "g", dimensions: [], aggregate: false)
        gauge.record(7.0)
        gauge.record(-2.5)
        let meter = metrics.makeMeter(label: "m", dimensions: [])
        meter.set(3.0)
        meter.increment(by: 0.5)
        #expect(metrics.rendered() == "# TYPE g gauge\ng -2.5\n# TYPE m gauge\nm 3.5\n")
    }

    @Test("A timer is a cumulative histogram in seconds; a bucket's bound belongs to it")
    func timer() {
        let timer = metrics.makeTimer(label: "t", dimensions: [("q", "1")])
        for nanoseconds in [1_000_000, 1_000_001, 2_000_000_000, 100_000_000_000] as [Int64] {
            timer.recordNanoseconds(nanoseconds)
        }
        let text = metrics.rendered()
        #expect(text.hasPrefix("# TYPE t histogram\nt_bucket{q=\"1\",le=\"0.001\"} 1\n"))
        for line in [
            "t_bucket{q=\"1\",le=\"0.0025\"} 2", "t_bucket{q=\"1\",le=\"1\"} 2", "t_bucket{q=\"1\",le=\"2.5\"} 3",
            "t_bucket{q=\"1\",le=\"60\"} 3", "t_bucket{q=\"1\",le=\"+Inf\"} 4", "t_sum{q=\"1\"} 102.002000001",
            "t_count{q=\"1\"} 4",
        ] {
            #expect(text.contains(line + "\n"))
        }
    }

    @Test("A label that is one type of metric already doesn't become another")
    func mixedTypes() {
        metrics.makeCounter(label: "x", dimensions: []).increment(by: 1)
        metrics.makeMeter(label: "x", dimensions: [("a", "b")]).set(5.0)
        #expect(metrics.rendered() == "# TYPE x counter\nx 1\n")
    }

    @Test("What is defined is shown with help and type before anything has happened")
    func definitions() {
        let metrics = PrometheusMetrics([MetricDefinition("h", .histogram, "Sizes.", buckets: [1, 2])])
        #expect(metrics.rendered() == "# HELP h Sizes.\n# TYPE h histogram\n")
        metrics.makeRecorder(label: "h", dimensions: [], aggregate: true).record(2.0)
        #expect(
            metrics.rendered().hasSuffix(
                "h_bucket{le=\"1\"} 0\nh_bucket{le=\"2\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 2\nh_count 1\n"))
    }

    @Test("No label can make a metric grow without end")
    func seriesLimit() {
        for index in 0..<(PrometheusMetrics.seriesLimit + 10) {
            metrics.makeCounter(label: "n", dimensions: [("k", "\(index)")]).increment(by: 1)
        }
        let shown = metrics.rendered().split(separator: "\n").count { $0.hasPrefix("n{") }
        #expect(shown == PrometheusMetrics.seriesLimit)
    }

    @Test("Nothing is lost when many tasks count at once")
    func concurrency() async {
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask { [metrics] in
                    for index in 0..<1000 {
                        metrics.makeCounter(label: "n", dimensions: [("k", "\(index % 4)")]).increment(by: 1)
                        metrics.makeTimer(label: "s", dimensions: []).recordNanoseconds(1)
                    }
                }
            }
        }
        let text = metrics.rendered()
        for index in 0..<4 { #expect(text.contains("n{k=\"\(index)\"} 2000\n")) }
        #expect(text.contains("s_count 8000\n"))
    }
}
