package statistics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// Exec is a Runner that starts programs with the rights of this one. Only give
// it to a Collector whose commands come from somebody who may do that.
type Exec struct {
	// Shell has the text of a command carried out by the system's shell. Without
	// it the text is split at blanks, and is an error if it holds characters that
	// mean something to a shell.
	Shell bool

	Dir       string // in which programs are started; zero: the present one
	MaxOutput int    // bytes; what follows is dropped; zero: 4096
}

var _ Runner = Exec{}

// forShells are the characters of a command that only a shell understands.
const forShells = "|&;<>()$`\\\"'*?[]#~%{}\n"

// Run implements Runner. The program, and on Unix those that it has started, are
// killed when ctx is done.
func (e Exec) Run(ctx context.Context, c Command) (string, error) {
	args := c.Args
	if args == nil && e.Shell {
		args = shell(c.Line)
	} else if args == nil {
		if strings.ContainsAny(c.Line, forShells) {
			return "", fmt.Errorf("%q needs a shell, and none is allowed", c.Line)
		}
		args = strings.Fields(c.Line)
	}
	if len(args) == 0 {
		return "", errors.New("there is no command")
	}
	out := capture{left: e.MaxOutput}
	if out.left <= 0 {
		out.left = 4096
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Stdout = e.Dir, &out
	cmd.WaitDelay = time.Second
	group(cmd)
	err := cmd.Run()
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("%q: %w", args, err)
	}
	return out.b.String(), nil
}

// capture keeps the beginning of what is written.
type capture struct {
	b    bytes.Buffer
	left int
}

// Write implements io.Writer.
func (c *capture) Write(p []byte) (int, error) {
	n := min(len(p), c.left)
	c.left -= n
	c.b.Write(p[:n])
	return len(p), nil
}
