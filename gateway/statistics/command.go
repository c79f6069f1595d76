package statistics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// A Command is something to run for a figure of the machine.
type Command struct {
	Attribute string        // the key of the telemetry that its output becomes
	Line      string        // the command, if Args is nil
	Args      []string      // the program and its arguments
	Timeout   time.Duration // zero: 100 seconds
}

// DefaultTimeout is how long a command may take that has no time-out.
const DefaultTimeout = 100 * time.Second

// A Runner runs commands. It is called by one goroutine at a time. Run returns
// what the command has printed; it must return soon after ctx, which has the
// command's deadline, is done.
type Runner interface {
	Run(ctx context.Context, c Command) (output string, err error)
}

// ParseCommands reads the list of commands of the Python gateway:
//
//	[{"attributeOnGateway": "Uptime", "command": "uptime -p", "timeout": 100}]
//
// A command is text or a list of a program and its arguments, and the time-out is
// in seconds. A key installCmd is an error: nothing is ever installed. Errors
// name the place. The good commands are returned also if there is an error.
func ParseCommands(raw []byte) ([]Command, error) {
	var list []struct {
		Attribute string          `json:"attributeOnGateway"`
		Command   json.RawMessage `json:"command"`
		Timeout   *float64        `json:"timeout"`
		Install   json.RawMessage `json:"installCmd"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("statistics: commands: %w", err)
	}
	var good []Command
	var errs []error
	for i, e := range list {
		c, err := parseCommand(e.Attribute, e.Command, e.Timeout)
		if err != nil {
			errs = append(errs, fmt.Errorf("statistics: commands[%d].%w", i, err))
			continue
		}
		if e.Install != nil && string(e.Install) != "null" {
			errs = append(errs, fmt.Errorf("statistics: commands[%d].installCmd: is not run, install it yourself", i))
		}
		good = append(good, c)
	}
	return good, errors.Join(errs...)
}

func parseCommand(attribute string, command json.RawMessage, timeout *float64) (Command, error) {
	c := Command{Attribute: attribute, Timeout: DefaultTimeout}
	if attribute == "" {
		return c, errors.New("attributeOnGateway: is missing")
	}
	if timeout != nil {
		if *timeout <= 0 || *timeout > 86400 {
			return c, fmt.Errorf("timeout: %v is not between 0 and 86400 seconds", *timeout)
		}
		c.Timeout = time.Duration(*timeout * float64(time.Second))
	}
	if json.Unmarshal(command, &c.Line) == nil && strings.TrimSpace(c.Line) != "" {
		return c, nil
	}
	c.Line = ""
	if json.Unmarshal(command, &c.Args) == nil && len(c.Args) > 0 && c.Args[0] != "" {
		return c, nil
	}
	return c, errors.New("command: is neither text nor a list of texts")
}

// runCommands runs the commands one after the other and publishes what they
// print. One that fails costs no other.
func (c *Collector) runCommands(ctx context.Context, p Publisher) {
	s, _ := c.current()
	if c.cfg.Runner == nil {
		if !c.refused {
			c.log.Warn("statistics: commands are configured, but this program runs none", "commands", len(s.Commands))
		}
		c.refused = true
		return
	}
	var points []telemetry.Point
	for _, cmd := range s.Commands {
		if ctx.Err() != nil {
			return
		}
		out, err := c.runCommand(ctx, cmd)
		if ctx.Err() == nil {
			c.noteCommand(cmd, err)
		}
		if err != nil {
			continue
		}
		if v := commandValue(out); v.Valid() {
			points = append(points, telemetry.Point{Key: cmd.Attribute, Value: v, TS: time.Now().UnixMilli()})
		}
	}
	if len(points) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, max(s.CommandPeriod, ShortestPeriod))
	defer cancel()
	if err := p.PublishOwn(ctx, points, nil); err != nil && !errors.Is(err, context.Canceled) {
		c.log.Warn("statistics: output of commands not published", "error", err)
	}
}

// noteCommand logs when a command begins to fail and when it works again.
func (c *Collector) noteCommand(cmd Command, err error) {
	switch failed := c.failing[cmd.Attribute]; {
	case err != nil && !failed:
		c.failing[cmd.Attribute] = true
		c.log.Warn("statistics: command failed", "attribute", cmd.Attribute, "error", err)
	case err == nil && failed:
		delete(c.failing, cmd.Attribute)
		c.log.Info("statistics: command works again", "attribute", cmd.Attribute)
	}
}

func (c *Collector) runCommand(ctx context.Context, cmd Command) (out string, err error) {
	timeout := cmd.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("it did not end within %v", timeout))
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the runner panicked: %v", p)
		}
	}()
	return c.cfg.Runner.Run(ctx, cmd)
}

// commandValue returns a number if the output is one, and nothing if there is
// none.
func commandValue(out string) telemetry.Value {
	out = strings.TrimSpace(out)
	if out == "" {
		return telemetry.Value{}
	}
	if f, err := strconv.ParseFloat(out, 64); err == nil {
		if v := telemetry.Float(f); v.Valid() {
			return v
		}
	}
	return telemetry.String(out)
}
