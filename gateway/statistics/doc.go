// Package statistics publishes how a gateway and its machine fare, as telemetry
// and attributes of the gateway's own device, under the keys that the dashboards
// of the Python gateway read.
//
//	c := statistics.New(statistics.Config{Gateway: g.Stats})
//	err := c.Run(ctx, client) // a *tbclient.Client
//
// # Telemetry, each period
//
//   - machineStats: totalCpuUsage and gwProcessCpuUsage in percent over the
//     period (the first of all cores, the second of one, so up to 100 for each
//     core; both from the second message on), diskUsage in percent, freeDisk as
//     text such as "73.8G", freeMemory, gwMemory in percent,
//     gwProcessMemoryFullInfo in bytes, msgsSentToPlatform and
//     msgsReceivedFromPlatform.
//   - serviceStats: storageMsgPulled (records that left the store),
//     storageMsgCount (records in it), platformMsgPushed (publications),
//     platformTsProduced and platformAttrProduced (points of time series, and
//     attributes, that the platform has accepted).
//   - connectorsStats: for each connector connectorMsgsReceived (batches that it
//     submitted), connectorBytesReceived, storageMsgPushed (records stored) and,
//     if there were any, connectorsErrors; and under NAME_converter
//     convertersMsgProcessed, convertersTsProduced and convertersAttrProduced
//     (points of time series, and attributes, before the device filter and the
//     report policies), and convertersMsgDropped (points that cannot be sent).
//
// The key freeMemory holds the share of memory that is used, in percent: so it
// is in the Python gateway, and dashboards and alarms rely on it. What its name
// promises is in the addition availableMemory, in bytes.
//
// Counters are of the period. A message that could not be published costs none:
// the next one counts from the last that was.
//
// The value of connectorBytesReceived is the size of the stored records, as they
// are encoded: what report policies hold back has none. In the Python gateway it is
// the size of a Python object, so the two cannot be compared.
//
// If Config.Errors is set there is also NAME_ERRORS_COUNT for each source of
// errors and ALL_ERRORS_COUNT: errors of the last minute or less, published when
// they have changed, every five seconds at most.
//
// # Attributes, once
//
// totalMemory and totalDisk as text such as "15.5G", and cpuCount.
//
// # Systems
//
// The figures of the machine and of the process come from /proc and statfs and
// are there on Linux. Elsewhere their keys are absent, except cpuCount.
//
// # Commands
//
// The statistics of the Python gateway can run commands that a file, or the
// platform, names. Here nothing is run unless the program gives a [Runner], such
// as [Exec].
package statistics
