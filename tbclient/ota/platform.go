package ota

import (
	"context"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// A Platform is what an Updater needs of the connection to the platform. A
// *tbclient.Client is one. Its methods may be called concurrently, and may wait
// for a connection until ctx is done.
type Platform interface {
	// OwnAttributes returns the named client-side and shared attributes of the
	// gateway's own device, as far as they exist.
	OwnAttributes(ctx context.Context, client, shared []string) (clientSide, sharedOnes []telemetry.Point, err error)

	// WatchOwnAttributes has f called with the changes of shared attributes of
	// the gateway's own device, in order, and possibly with attributes that have
	// not changed. f does not block.
	WatchOwnAttributes(f func(points []telemetry.Point, deleted []string)) (cancel func())

	// PublishOwn publishes telemetry and client-side attributes of the gateway's
	// own device, and returns when the platform has accepted them.
	PublishOwn(ctx context.Context, telemetry, attributes []telemetry.Point) error

	// FirmwareChunk returns a part of the package of a kind: size bytes from
	// chunk*size on, fewer at the end of the package, and none beyond it. The
	// platform gives the same package for the same request as long as the
	// connection lives.
	FirmwareChunk(ctx context.Context, kind string, request int64, chunk, size int) ([]byte, error)
}
