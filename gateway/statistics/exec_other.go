//go:build !unix

package statistics

import "os/exec"

func shell(line string) []string { return []string{"cmd", "/C", line} }

func group(*exec.Cmd) {}
