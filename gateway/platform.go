package gateway

import (
	"context"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A Platform is the northbound side of a gateway, such as *tbclient.Client.
type Platform interface {
	// Run connects, and stays connected until ctx is done. While it runs it
	// passes what the platform sends to d. It re-announces online devices
	// whenever it has reconnected.
	Run(ctx context.Context, d Downlink) error

	// Publish sends groups, after those of earlier calls. It does not retain
	// them. Several groups may be about one device. It blocks while the
	// platform is not connected.
	//
	// An error that connector.IsInvalid reports means that groups themselves
	// are at fault: the gateway counts and passes over them. After any other
	// error it publishes them again.
	Publish(ctx context.Context, groups []telemetry.Group) (Delivery, error)

	// DeviceOnline and DeviceOffline announce the coming and going of a
	// device. They take effect when the platform is connected next.
	DeviceOnline(ctx context.Context, d telemetry.Device) error
	DeviceOffline(ctx context.Context, name string) error

	// Attributes asks for attributes of a device.
	Attributes(ctx context.Context, q connector.AttributeQuery) ([]telemetry.Point, error)
}

// A Prober is a Platform that can be tried before it is used; see
// [Gateway.SetPlatform].
type Prober interface {
	// Connected reports whether data can be published at this moment.
	Connected() bool

	// LastError returns why the last attempt to connect failed, or nil.
	LastError() error
}

// An Excluder is a Platform that cannot run beside some others, such as those
// that connect with the same credentials: both would be given each command.
type Excluder interface {
	Excludes(other Platform) bool
}

// A Renamer is a Platform on which devices can have other names than in the
// gateway.
type Renamer interface {
	// PlatformName returns what the platform calls a device.
	PlatformName(device string) string

	// RenameDevice notes that the platform calls a device by another name.
	RenameDevice(device, as string) error
}

// A DeviceObserver is a Downlink that wants to know what becomes of devices on
// the platform. The devices are named as in the gateway.
type DeviceObserver interface {
	DeviceRenamed(device, as string)
	DeviceDeleted(ctx context.Context, device string)
}

// A Delivery is a publication under way.
type Delivery interface {
	// Wait returns nil once the platform has accepted the publication. After
	// an error the gateway publishes the same data again.
	Wait(ctx context.Context) error
}

// Downlink takes what the platform sends down. A call of HandleRPC without a
// device is one to the gateway's own; see [Gateway.HandleRPC]. Its methods may be
// called concurrently; those for one device take effect one at a time, in the
// order of the calls. They return when the connector has answered or ctx is done.
type Downlink interface {
	connector.RPCHandler
	connector.AttributeUpdater

	// SharedAttributes returns the shared attributes that the device's
	// connector wants to be told whenever the device has been announced; see
	// connector.AttributeSyncer. It does not block.
	SharedAttributes(device string) []string
}
