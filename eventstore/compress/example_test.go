package compress_test

import (
	"context"
	"fmt"
	"os"

	"github.com/gridlinks/iot-gateway/eventstore/compress"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
)

// A store that compresses what it writes.
func ExampleS2() {
	dir, err := os.MkdirTemp("", "compress")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	store, err := filestore.Open(filestore.Config{Dir: dir, Codec: compress.S2{}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 10_000 {
		if _, err := store.Append(context.Background(), []byte("meter-1 voltage=230.1 current=5.02")); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := store.Sync(context.Background(), 10_000); err != nil {
		fmt.Println(err)
	}
	fmt.Println("smaller than half:", store.Condition().FileBytes < 10_000*34/2)
	if err := store.Close(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// smaller than half: true
}
