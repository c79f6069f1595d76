package expr_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"testing"
	"time"
)

// python runs a program that reads a JSON array from its standard input and
// writes another, of the same length, to its standard output. It skips the test
// if the module, which the Debian package provides, is not installed.
func python[Q, A any](t *testing.T, module, pkg, program string, questions []Q) []A {
	t.Helper()
	const interpreter = "/usr/bin/python3"
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := exec.CommandContext(ctx, interpreter, "-c", "import "+module).Run(); err != nil {
		t.Skip("peer not installed: " + pkg)
	}
	in, err := json.Marshal(questions)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, interpreter, "-W", "ignore", "-c", program)
	cmd.Env = []string{"TZ=UTC", "PYTHONHASHSEED=0", "PYTHONIOENCODING=utf-8"}
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python: %v: %s", err, stderr.Bytes())
	}
	var answers []A
	if err := json.Unmarshal(out, &answers); err != nil {
		t.Fatal(err)
	}
	if len(answers) != len(questions) {
		t.Fatalf("%d answers to %d questions", len(answers), len(questions))
	}
	return answers
}
