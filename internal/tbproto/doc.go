// Package tbproto encodes and decodes the protobuf messages of the ThingsBoard
// gateway API. The platform speaks them on the topics of the gateway API if the
// device profile of the gateway has the payload type protobuf.
//
// Protobuf says what kind a value is, where the platform guesses it from JSON:
// a string "0012" stays a string, and a double stays a double whatever its
// value.
//
// The messages, with their field numbers, are those of the platform's
// common/proto/src/main/proto/transport.proto at commit
// 09fc025e12b15352f18d11484c841897f2007410, whose inner messages are in
// queue.proto beside it, at commit 01e9326b92b7f2b59a4d783566c722adaeff9bcb.
// Neither has room for the latency metadata that JSON may carry.
//
// Strings are sent as valid UTF-8, since the platform closes the connection on
// any other: each byte that is not UTF-8 is replaced by U+FFFD.
package tbproto
