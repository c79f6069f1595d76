package filestore_test

import (
	"context"
	"fmt"
	"os"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
)

// A record is durable when Sync says so, and is gone when it is acknowledged.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "filestore")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	store, err := filestore.Open(filestore.Config{Dir: dir, MaxBytes: 16 << 20, Overflow: eventstore.DropOldest})
	if err != nil {
		fmt.Println(err)
		return
	}
	offset, err := store.Append(ctx, []byte("21.5"))
	if err == nil {
		err = store.Sync(ctx, offset)
	}
	if err != nil {
		fmt.Println(err)
	}
	if err := store.Close(); err != nil { // or lose power
		fmt.Println(err)
	}

	store, err = filestore.Open(filestore.Config{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	records, err := store.Peek(ctx, 0, nil, eventstore.Limit{Records: 100})
	if err == nil {
		fmt.Printf("%d: %s\n", records[0].Offset, records[0].Data)
		err = store.Ack(ctx, records[0].Offset)
	}
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println("pending:", store.Stats().Pending)
	if err := store.Close(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 1: 21.5
	// pending: 0
}
