// Package modbustest simulates Modbus devices, for tests and for examples that run
// without hardware.
//
// A [Bus] holds units with register images. A test can use it in memory
// ([Bus.Open] is a modbus.Opener), or over a socket ([Listen], [ListenRTU]). Units
// count requests, and can be told to be slow, silent, or to refuse addresses.
package modbustest
