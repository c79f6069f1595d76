package expr_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/valyala/fastjson"
)

func TestMain(m *testing.M) {
	time.Local = time.UTC // the vectors were made there
	os.Exit(m.Run())
}

// sameJSON compares two documents, numbers by their text.
func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	return bytes.Equal(canonical(t, a), canonical(t, b))
}

func canonical(t *testing.T, doc []byte) []byte {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", doc, err)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func parse(t testing.TB, doc string) *fastjson.Value {
	t.Helper()
	v, err := fastjson.Parse(doc)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
