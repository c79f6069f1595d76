module github.com/gridlinks/iot-gateway/examples/boltstore

go 1.25.0

require (
	github.com/gridlinks/iot-gateway v0.0.0
	go.etcd.io/bbolt v1.4.3
)

require golang.org/x/sys v0.47.0 // indirect

replace github.com/gridlinks/iot-gateway => ../..
