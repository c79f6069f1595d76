// Package request polls HTTP servers: devices with a web interface, meters behind a
// REST API, cloud services.
//
// Each endpoint is requested at its own period, never twice at a time, and one that is
// slow or fails costs the others nothing. What it answers, in JSON, XML, CSV or text,
// is one message, or a list of them, each of which may be about another device:
//
//	{
//	  "host": "https://meters.example.com",
//	  "security": {"type": "bearer", "token": "..."},
//	  "mapping": [{
//	    "url": "api/readings",
//	    "scanPeriod": 30,
//	    "dataUnpackExpression": "${items}",
//	    "pagination": {"type": "cursor", "path": "${next}"},
//	    "converter": {
//	      "type": "json",
//	      "deviceNameJsonExpression": "meter ${id}",
//	      "telemetry": [{"key": "power", "type": "float", "value": "${p}", "tsField": "${at}"}]
//	    }
//	  }]
//	}
//
// Shared attributes and remote procedure calls are requests too. A status that is no
// success is an error, which names the endpoint; certificates are verified unless the
// configuration says otherwise; credentials go to the configured hosts only.
//
// A poll cannot be acknowledged: what a server says while the gateway does not run is
// lost, unless it is asked for by time, see [Request].
package request
