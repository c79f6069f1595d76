package filestore

// A Codec compresses what a store writes. Package eventstore/compress has one.
// Its methods may be called concurrently.
type Codec interface {
	// Name identifies the codec in the headers of segments. It has 1 to 8
	// bytes, and stays the same for as long as Decode understands what Encode
	// has made.
	Name() string

	// Encode appends the compressed form of src to dst.
	Encode(dst, src []byte) []byte

	// Decode appends to dst what Encode was given, which had size bytes. It
	// returns an error, and allocates no more than size bytes, if src is not
	// the compressed form of that many.
	Decode(dst, src []byte, size int) ([]byte, error)
}
