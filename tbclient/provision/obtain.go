package provision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/gridlinks/iot-gateway/internal/backoff"
)

// LoadOrRequest returns the credentials in the file at path. If there is none,
// or if it does not hold credentials, LoadOrRequest asks the platform, again and
// again until ctx is done unless the platform rejects the request, and saves
// what it answers.
//
// Credentials that could not be saved are returned together with the error;
// what is kept beside path lets a later call find them again.
func LoadOrRequest(ctx context.Context, path string, r Request) (Credentials, error) {
	c, loadErr := Load(path)
	if loadErr == nil {
		return c, nil
	}
	if !errors.Is(loadErr, fs.ErrNotExist) && !errors.Is(loadErr, errInvalid) {
		return Credentials{}, loadErr
	}
	r, asked, err := prepare(path, r)
	if err != nil {
		return Credentials{}, err
	}
	if errors.Is(loadErr, errInvalid) {
		r.Logger.Warn("the credentials are not usable, asking for new ones", "error", loadErr)
	}
	c, err = r.obtain(ctx, asked)
	if errors.Is(err, ErrRejected) {
		err = errors.Join(err, removePending(path))
	}
	if err != nil {
		return Credentials{}, err
	}
	r.Logger.Info("provisioned", "device", r.DeviceName, "credentials", string(c.Type))
	if err := c.Save(path); err != nil {
		return c, err
	}
	return c, removePending(path)
}

// obtain asks until there is an answer. If asked, the device may exist already.
func (r *Request) obtain(ctx context.Context, asked bool) (Credentials, error) {
	delay := backoff.Backoff{Shortest: r.ShortestBackoff, Longest: r.LongestBackoff}
	failed := false
	for {
		c, err := r.do(ctx)
		if errors.Is(err, ErrRejected) && asked {
			c, err = r.recover(ctx, err)
		}
		if err == nil || errors.Is(err, ErrRejected) {
			return c, err
		}
		if ctx.Err() != nil {
			return Credentials{}, fmt.Errorf("provision: %w", context.Cause(ctx))
		}
		asked = true
		if failed {
			r.Logger.Debug("cannot provision", "error", err)
		} else {
			r.Logger.Warn("cannot provision, trying on", "error", err)
		}
		failed = true
		if delay.Wait(ctx) != nil {
			return Credentials{}, fmt.Errorf("provision: %w", context.Cause(ctx))
		}
	}
}

// recover returns the credentials that were chosen, if the platform knows them:
// an answer was lost. Otherwise it returns the rejection.
func (r *Request) recover(ctx context.Context, rejection error) (Credentials, error) {
	own := r.own()
	err := r.try(ctx, own)
	if errors.Is(err, errRefused) {
		return Credentials{}, rejection
	}
	return own, err
}

func removePending(path string) error {
	err := os.Remove(pendingPath(path))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("provision: %w", err)
	}
	return nil
}
