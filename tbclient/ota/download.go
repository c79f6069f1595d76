package ota

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"

	"github.com/gridlinks/iot-gateway/internal/backoff"
)

// syncEvery is how many bytes are written before they are made durable.
const syncEvery = 1 << 20

// download completes the file, of which an earlier download has left the first
// bytes.
func (r *run) download(ctx context.Context, id identity, have int64) (err error) {
	f, err := os.OpenFile(r.files.image, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if closed := f.Close(); err == nil {
			err = closed
		}
	}()
	size := int64(r.cfg.ChunkSize)
	if have < id.Size {
		have -= have % size
	}
	if err := f.Truncate(have); err != nil {
		return err
	}
	if _, err := f.Seek(have, io.SeekStart); err != nil {
		return err
	}
	d := &transfer{run: r, id: id, request: rand.Int64N(1 << 31)}
	for synced := have; have < id.Size; {
		chunk, err := d.chunk(ctx, have/size, min(size, id.Size-have))
		if err != nil {
			return err
		}
		if _, err := f.Write(chunk); err != nil {
			return err
		}
		have += int64(len(chunk))
		r.cfg.Logger.Debug("downloading", "kind", r.cfg.Kind, "bytes", have, "of", id.Size)
		if have-synced >= syncEvery {
			if err := f.Sync(); err != nil {
				return err
			}
			synced = have
		}
	}
	return f.Sync()
}

// A transfer is one download. Its request is a number that no other download is
// likely to have, be it of another kind, since the platform remembers for each
// number what package it is about, as long as the connection lives.
type transfer struct {
	*run
	id          identity
	request     int64
	interrupted bool
}

// chunk returns a chunk, which has the given length.
func (d *transfer) chunk(ctx context.Context, n, length int64) ([]byte, error) {
	var delay backoff.Backoff
	for tries := 0; ; tries++ {
		chunk, err := d.ask(ctx, n)
		if err == nil {
			if d.interrupted {
				d.interrupted = false
				d.cfg.Logger.Info("the download goes on", "kind", d.cfg.Kind, "chunk", n)
			}
			return chunk, d.plausible(n, length, int64(len(chunk)))
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if tries >= d.cfg.Retries {
			return nil, fmt.Errorf("%w: chunk %d, asked for %d times: %w", errUnavailable, n, tries+1, err)
		}
		if !d.interrupted {
			d.interrupted = true
			d.cfg.Logger.Warn("the download is interrupted, trying on", "kind", d.cfg.Kind, "chunk", n, "error", err)
		}
		if err := d.reach(ctx, &delay); err != nil {
			return nil, err
		}
	}
}

// ask asks for a chunk once.
func (d *transfer) ask(ctx context.Context, n int64) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.cfg.Timeout, errors.New("the platform does not answer"))
	defer cancel()
	chunk, err := d.platform.FirmwareChunk(ctx, d.cfg.Kind, d.request, int(n), d.cfg.ChunkSize)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return nil, cause
	}
	return chunk, err
}

// plausible compares the length of a chunk with what it has to be.
func (d *transfer) plausible(n, want, got int64) error {
	have := n * int64(d.cfg.ChunkSize)
	switch {
	case got == want:
		return nil
	case got > want:
		return fmt.Errorf("%w: it has more than %d bytes", errChecksum, d.id.Size)
	default:
		return fmt.Errorf("%w: it ends after %d of %d bytes", errChecksum, have+got, d.id.Size)
	}
}

// reach waits until the platform answers a request for the attributes, which
// also tells whether the package is still the one that is announced. So a
// platform that is out of reach for long is not taken for one that does not have
// the chunk.
func (d *transfer) reach(ctx context.Context, delay *backoff.Backoff) error {
	for {
		if delay.Wait(ctx) != nil {
			return context.Cause(ctx)
		}
		_, points, err := d.platform.OwnAttributes(ctx, nil, d.inbox.keys)
		if err == nil {
			if a := announced(d.cfg.Kind, points, d.cfg.MaxSize); a.identity != d.id {
				d.inbox.wake()
			}
			return nil
		}
		d.cfg.Logger.Debug("the platform is out of reach", "kind", d.cfg.Kind, "error", err)
	}
}
