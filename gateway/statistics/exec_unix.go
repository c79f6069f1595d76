//go:build unix

package statistics

import (
	"os/exec"
	"syscall"
)

func shell(line string) []string { return []string{"/bin/sh", "-c", line} }

// group has the program killed together with those that it starts.
func group(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
