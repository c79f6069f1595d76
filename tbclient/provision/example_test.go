package provision_test

import (
	"context"
	"fmt"
	"time"

	"github.com/gridlinks/iot-gateway/tbclient"
	"github.com/gridlinks/iot-gateway/tbclient/provision"
)

// A gateway gets credentials on its first start, and finds them in the file on
// every other.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	credentials, err := provision.LoadOrRequest(ctx, "config/.credentials", provision.Request{
		Broker:     "tls://demo.thingsboard.io:8883",
		Key:        "the provisioning key of the device profile",
		Secret:     "and its secret",
		DeviceName: "Gateway of plant 7",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	config := tbclient.Config{Broker: "tls://demo.thingsboard.io:8883"}
	if err := credentials.Apply(&config); err != nil {
		fmt.Println(err)
		return
	}
	client := tbclient.Dial(config)
	fmt.Println(client.Stats())
}

// Without a file: one attempt, whose answer the caller keeps.
func ExampleDo() {
	credentials, err := provision.Do(context.Background(), provision.Request{
		Broker: "tcp://localhost:1883",
		Key:    "key",
		Secret: "secret",
		Type:   provision.MQTTBasic,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := credentials.Save("credentials.json"); err != nil {
		fmt.Println(err)
	}
}
