// Package ftp reads files of FTP and FTPS servers, and writes to them. Package
// [github.com/gridlinks/iot-gateway/protocols/ftp/sftp] does the same over SSH.
//
// The gateway looks for files that match a path, and makes a message of each line of a
// table (csv, txt), of each line that is cut into slices (txt), or of each object (json):
//
//	{
//	  "parameters": {
//	    "host": "files.example.com", "port": 21, "TLSSupport": true,
//	    "security": {"type": "basic", "username": "gateway", "password": "secret"}
//	  },
//	  "paths": [{
//	    "path": "stations/*/*.csv", "readMode": "PARTIAL", "pollPeriod": 60, "delimiter": ",",
//	    "devicePatternName": "Station ${id}", "devicePatternType": "station",
//	    "timeseries": [{"key": "temperature", "value": "${t}", "type": "double", "tsField": "${time}"}]
//	  }]
//	}
//
// # Once and no less
//
// What was delivered of which file is kept in a file of the gateway's own, and noted
// only once the readings are durable. Before the first of them is submitted it is
// noted which bytes follow, and the time that rows without a time of their own have.
// A gateway that was killed therefore sends what is missing, and what it repeats has
// the same device, key and time, so that the platform has it once.
//
// # Limits
//
// A file counts as changed if its size or time has. Servers tell times to the second,
// so that a file that is replaced within a second by one of equal size is not noticed.
// Connections are passive ones.
package ftp
