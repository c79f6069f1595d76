package mqttx_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/gridlinks/iot-gateway/internal/mqttx"
	"github.com/gridlinks/iot-gateway/internal/peer"
)

// BenchmarkPublish publishes 200 bytes at a time to Mosquitto with 100
// publications under way.
func BenchmarkPublish(b *testing.B) {
	broker := peer.Mosquitto{}.Start(b)
	for _, version := range []byte{4, 5} {
		for _, qos := range []byte{0, 1} {
			b.Run(fmt.Sprintf("version=%d/qos=%d", version, qos), func(b *testing.B) {
				c, err := mqttx.Dial(b.Context(), mqttx.Options{Version: version, Broker: broker.Addr()})
				if err != nil {
					b.Fatal(err)
				}
				defer c.Close()
				payload := make([]byte, 200)
				window := make(chan mqttx.Publication, 100)
				b.ReportAllocs()
				for b.Loop() {
					if len(window) == cap(window) {
						if err := (<-window).Wait(b.Context()); err != nil {
							b.Fatal(err)
						}
					}
					window <- c.Publish("bench", qos, false, payload)
				}
			})
		}
	}
}

// BenchmarkReceive receives 200 bytes at a time, of QoS 1, from Mosquitto, which
// another connection publishes.
func BenchmarkReceive(b *testing.B) {
	broker := peer.Mosquitto{}.Start(b)
	for _, version := range []byte{4, 5} {
		b.Run(fmt.Sprintf("version=%d", version), func(b *testing.B) {
			got := make(chan struct{}, 1000)
			c, err := mqttx.Dial(b.Context(), mqttx.Options{Version: version, Broker: broker.Addr(), Receive: func(m mqttx.Message) {
				m.Ack()
				got <- struct{}{}
			}})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			if err := c.Subscribe(b.Context(), mqttx.Subscription{Filter: "bench", QoS: 1}); err != nil {
				b.Fatal(err)
			}
			pub, err := mqttx.Dial(b.Context(), mqttx.Options{Version: 5, Broker: broker.Addr()})
			if err != nil {
				b.Fatal(err)
			}
			defer pub.Close()
			payload := make([]byte, 200)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				pub.Publish("bench", 1, false, payload)
				if i >= 100 {
					<-got
				}
			}
		})
	}
}

// BenchmarkIdle reports what a connection costs while nothing happens.
func BenchmarkIdle(b *testing.B) {
	broker := peer.Mosquitto{}.Start(b)
	for _, version := range []byte{4, 5} {
		b.Run(fmt.Sprintf("version=%d", version), func(b *testing.B) {
			const n = 50
			for b.Loop() {
				before, goroutines := memory(), runtime.NumGoroutine()
				conns := make([]*mqttx.Conn, n)
				for i := range conns {
					c, err := mqttx.Dial(b.Context(), mqttx.Options{Version: version, Broker: broker.Addr()})
					if err != nil {
						b.Fatal(err)
					}
					conns[i] = c
				}
				after := memory()
				b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/n, "goroutines/conn")
				b.ReportMetric((float64(after.HeapAlloc)-float64(before.HeapAlloc))/n, "heap-B/conn")
				b.ReportMetric((float64(after.StackInuse)-float64(before.StackInuse))/n, "stack-B/conn")
				for _, c := range conns {
					c.Close()
				}
			}
		})
	}
}

func memory() runtime.MemStats {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m
}
