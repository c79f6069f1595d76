// Package ota updates the firmware or software of a gateway's own device, as
// the platform's over-the-air updates ask for.
//
// The platform announces a package in shared attributes (fw_title, fw_version,
// fw_size, fw_checksum, fw_checksum_algorithm, fw_tag and fw_url; sw_... for
// software). An [Updater] downloads it in chunks to a file, compares its
// checksum, hands it to Config.Install, and reports what it does in telemetry:
// current_fw_title, current_fw_version, fw_state (IDLE, DOWNLOADING,
// DOWNLOADED, VERIFIED, UPDATING, UPDATED or FAILED) and fw_error.
//
// # What it promises
//
//   - Nothing is installed whose size and checksum are not those announced. A
//     package without a checksum that is known here is refused.
//   - A download goes on where it stopped, after a lost connection and after a
//     restart of the process.
//   - A package that is announced during a download takes its place; one that is
//     withdrawn ends it. An installation is not interrupted.
//   - A package that has failed is tried again when it is withdrawn and announced
//     anew, as when it is unassigned and assigned on the platform. Unless its
//     installation failed, a restart of the process tries it again, too.
//   - A process that installs a package, restarts and finds itself to be still
//     another version reports that as a failure, and does not install it again
//     and again.
//   - File names are made from the kind of the package, and never from what the
//     platform sends.
//
// A package that the platform does not hold, but names by a URL (fw_url), is not
// downloaded: Install gets the URL and does everything, the check included.
package ota
