// Package convertertest runs golden vectors: files that each hold a
// configuration, an input, and what a connector makes of it.
//
// A package that has vectors keeps them in testdata/vectors/<folder>/ and runs
// them in one test:
//
//	func TestVectors(t *testing.T) {
//		convertertest.Run(t, convertertest.Suite{Folder: "mqtt", Run: runUplink})
//	}
//
// [Suite.Run] puts the input of a vector through the real configuration loader
// and the real converter or connector, and returns what came out. The comparison
// is exact: see [Diff]. Each file is a subtest named folder/file, and nothing is
// left out in silence: the last line that [Run] prints counts the vectors that
// were run, passed and skipped, and names the reason of each that was skipped.
//
// When the environment variable GATEWAY_VECTORS names a folder,
// $GATEWAY_VECTORS/<folder>/ is read instead of testdata/vectors/<folder>/.
//
// # Files
//
// A file is a JSON object. "config", "input" and "expected" have the shape that
// the suite gives them; a config that is the name of another file of the folder
// stands for its contents. "nowMs" is the time at which the vector was made; a ts
// of "NOW", null or nowMs means the time of arrival. {"$float": "nan"} (or "inf",
// "-inf") is a number that JSON has not.
//
// A "quirk", or the "status" "reference-bug", marks an expected result that was
// recorded and should not be copied. What is right is the vector's "recommended"
// if that is data rather than a sentence, or else what [Suite.Better] says. Whoever
// has a switch that restores the quirks names them in [Suite.Restores].
//
// A file with "cases" instead of "expected", or that is an array, is a table: its
// suite compares the cases by itself.
package convertertest
