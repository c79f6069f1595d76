package ota_test

import (
	"context"
	"fmt"
	"os/exec"

	"github.com/gridlinks/iot-gateway/tbclient"
	"github.com/gridlinks/iot-gateway/tbclient/ota"
)

// A gateway updates itself through its own connection to the platform. It has
// to run the client as well, as gateway.WithPlatform does.
func Example() {
	client := tbclient.Dial(tbclient.Config{Broker: "tls://demo.thingsboard.io:8883", AccessToken: "secret"})
	updater := ota.New(ota.Config{
		Title:   "acme-gateway",
		Version: "1.4.0",
		Folder:  "/var/lib/acme-gateway/update",
		Install: func(ctx context.Context, image ota.Image) error {
			out, err := exec.CommandContext(ctx, "rauc", "install", image.Path).CombinedOutput()
			if err != nil {
				return fmt.Errorf("rauc: %w: %s", err, out)
			}
			return exec.CommandContext(ctx, "systemctl", "reboot").Run()
		},
	})
	if err := updater.Run(context.Background(), client); err != nil {
		fmt.Println(err)
	}
}
