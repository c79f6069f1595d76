package storetest_test

import (
	"context"
	"fmt"

	"github.com/gridlinks/iot-gateway/eventstore/storetest"
)

// What was synced before the power failed is there when it returns.
func ExampleMedium() {
	ctx := context.Background()
	disk := new(storetest.Medium)
	store := disk.Open()
	offset, err := store.Append(ctx, []byte("kept"))
	if err == nil {
		err = store.Sync(ctx, offset)
	}
	if err == nil {
		_, err = store.Append(ctx, []byte("not synced"))
	}
	if err != nil {
		fmt.Println(err)
	}
	disk.Crash()

	store = disk.Open()
	fmt.Println("pending:", store.Stats().Pending)
	if err := store.Close(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// pending: 1
}
