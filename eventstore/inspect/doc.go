// Command inspect shows, checks, exports and repairs the files of a filestore.
//
//	go run github.com/gridlinks/iot-gateway/eventstore/inspect [flags] DIR
//
// Without flags it lists the segments, the cursor, and what is pending by device.
// It only reads, so it can be used while a gateway works in the folder; only
// -repair needs it for itself.
//
//	-verify       check every checksum; the exit status is 1 if something is damaged
//	-export       print what is pending as JSON lines, one per record
//	-all          with -export: print what has been delivered and is still there as well
//	-repair       write damaged segments anew with what can be read of them
//	-key ID=FILE  the key of an encrypted store: 64 hexadecimal digits in a file;
//	              may be given more than once
//
// A line of -export is an object with the offset of the record and its groups, one
// for each device:
//
//	{"offset":7,"groups":[{"device":"meter-1","profile":"adw300",
//	 "telemetry":[{"ts":1700000000000,"key":"u","value":230.1}],
//	 "attributes":[{"key":"serial","value":"A7"}]}]}
//
// A record that is not the gateway's own has "data" in base64 and "error" instead
// of groups.
package main
